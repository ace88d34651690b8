"""TFAM, the Temporal-Frequency Alignment Module: a plug-in that looks again, aligned and as a spectrum, and decides.

A skeleton-based reading of PIUmr (arXiv 2509.21261), whose equations are not public: what is here is ours unless a
source is cited at the equation.
"""

from piumr.tfam.frequency import FrequencyBranch
from piumr.tfam.temporal import Alignment, TemporalBranch
from piumr.tfam.tfam import TFAM, Aligned

__all__ = ["TFAM", "Aligned", "Alignment", "FrequencyBranch", "TemporalBranch"]

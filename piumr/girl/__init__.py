"""GIRL, the Group-Invariant Regularised Loss: a classification loss that looks after groups standing for unseen people.

A skeleton-based reading of PIUmr (arXiv 2509.21261), whose equations are not public: what is here is ours unless a
source is cited at the equation.
"""

from piumr.girl.girl import GIRL, GIRLTerms
from piumr.girl.style import StyleGroups, style_statistics

__all__ = ["GIRL", "GIRLTerms", "StyleGroups", "style_statistics"]

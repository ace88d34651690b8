"""Methods of others against the same shift, trained by the same trainer: what TFAM and GIRL are measured against.

Feature statistics: MixStyle and DSU. Risks of known persons: Group DRO and V-REx; they alone are told who a clip's
person is. Losses: focal loss. Two trainings: JTT.
"""

from piumr.rivals.feature_statistics import DSU, MixStyle
from piumr.rivals.focal import FocalLoss
from piumr.rivals.jtt import JustTrainTwice
from piumr.rivals.person_risks import GroupDRO, VREx

__all__ = ["DSU", "FocalLoss", "GroupDRO", "JustTrainTwice", "MixStyle", "VREx"]

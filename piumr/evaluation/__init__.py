"""Evaluation: trained runs or files of predictions in, figures that can be trusted out."""

from piumr.evaluation.result import Evaluation, Member
from piumr.evaluation.runs import TrainedRun, load_run
from piumr.evaluation.scored import Scored, score
from piumr.evaluation.sets import TestSet
from piumr.evaluation.trials import evaluate_runs

__all__ = ["Evaluation", "Member", "Scored", "TestSet", "TrainedRun", "evaluate_runs", "load_run", "score"]

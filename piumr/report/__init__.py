"""``report.html``: an evaluation on one page that anybody can open, with the skeletons that the model saw."""

from piumr.report.page import write_report

__all__ = ["write_report"]

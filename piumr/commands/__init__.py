"""The commands, one file each. Entry points are here, so that a missing extra is one line and not a traceback."""

from piumr.commands.console import run_command


def train() -> None:
    """Entry point of ``piumr-train-gcn``."""
    run_command("piumr-train-gcn", "piumr.commands.train", "train")


def evaluate() -> None:
    """Entry point of ``piumr-evaluate``."""
    run_command("piumr-evaluate", "piumr.commands.evaluate", "evaluate")


def export() -> None:
    """Entry point of ``piumr-export``."""
    run_command("piumr-export", "piumr.commands.export", "export")


def infer() -> None:
    """Entry point of ``piumr-infer``."""
    run_command("piumr-infer", "piumr.commands.infer", "infer")


def convert() -> None:
    """Entry point of ``piumr-convert``."""
    run_command("piumr-convert", "piumr.commands.convert", "convert")


def demo() -> None:
    """Entry point of ``piumr-demo``."""
    run_command("piumr-demo", "piumr.commands.demo", "demo")

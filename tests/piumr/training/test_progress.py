"""What is told while a network trains."""

import io
import math
import re

import pytest
from rich.console import Console

from piumr.errors import PiumrError
from piumr.model import ModelConfig
from piumr.training import progress
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.fit import fit
from piumr.training.progress import describe

CONFIG = TrainConfig(
    method="piumr",
    model=ModelConfig(backbone_options={"channels": (12, 16), "depths": (1, 1), "strides": (1, 2)}, frames=16),
    optim=OptimConfig(epochs=4, batch_size=12, warmup_epochs=1, learning_rate=0.01),
)


def written(terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=150, highlight=False)


def test_a_log_gets_plain_lines_of_the_first_and_the_last_epoch(store, split):
    console = written(terminal=False)
    history = fit(store, split.train, CONFIG, validation=split.test, progress=console).history
    lines = console.file.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/4", "epoch 4/4"]
    assert re.search(r"0:00:\d\d left$", lines[0])
    last = lines[-1]
    assert "left" not in last
    assert f"loss {history[-1]['loss']:.3f}" in last
    assert f"validation {100 * history[-1]['validation_accuracy']:.1f} %" in last
    assert f"L_W {history[-1]['transport_cost']:.3f}" in last
    assert f"L_C {history[-1]['inconsistency']:.3f}" in last
    assert "\x1b" not in console.file.getvalue()


def test_a_log_gets_every_epoch_that_is_half_a_minute_after_the_last_line(store, split, monkeypatch):
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    console = written(terminal=False)
    fit(store, split.train, CONFIG, progress=console)
    assert len(console.file.getvalue().splitlines()) == 4


def test_a_terminal_gets_a_bar_with_the_figures_below_it_and_is_left_clean(store, split, monkeypatch):
    monkeypatch.setattr(progress, "LIVE_SECONDS", 0.0)
    console = written(terminal=True)
    fit(store, split.train, CONFIG, progress=console)
    shown = console.file.getvalue()
    assert "epoch 1/4" in shown
    assert "━" in shown
    assert "L_W" in shown
    assert "risks" in shown
    assert shown.rstrip().endswith("\x1b[2K")  # the last thing is erasing its lines


def test_the_display_is_gone_when_training_fails(store, split, monkeypatch):
    console = written(terminal=True)
    with pytest.raises(PiumrError):
        fit(
            store,
            split.train,
            TrainConfig(model=CONFIG.model, optim=OptimConfig(learning_rate=1e30, warmup_epochs=0)),
            progress=console,
        )
    assert console.file.getvalue().rstrip().endswith("\x1b[2K")
    assert not console._live_stack


def test_figures_are_those_of_the_last_row():
    rows = [
        {"epoch": 1, "accuracy": 0.1},
        {"epoch": 2, "accuracy": 0.25, "group_risk_1": 1.5, "group_risk_2": math.nan},
    ]
    assert describe(2.0, rows) == "loss 2.000  accuracy 25.0 %  risks 1.50 -"
    assert describe(1.0, []) == "loss 1.000"

"""The benchmark of a whole training runs on a CPU as well, and its figures fit together."""

import json
import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_training.py"
TINY = "--clips=70 --epochs=2 --frames=8 --batch_size=16 --backbone=stgcnpp-small --steps=1".split()


@pytest.mark.slow
def test_figures_fit_together(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *TINY, f"--out={tmp_path / 'figures.json'}"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    report = json.loads((tmp_path / "figures.json").read_text())
    assert report == json.loads(capsys.readouterr().out)
    found = report["results"]
    assert report["what"]["clips"] == 70
    assert found["steps_per_epoch"] == 5
    assert len(found["epochs_s"]) == 2
    assert sum(found["epochs_s"]) <= found["training_wall_s"]
    parts = found["batch_ms"]["median"] + found["model_ms"]["median"]
    assert found["step_ms"] == pytest.approx(parts + found["beyond_the_parts_ms"])
    assert found["clips_gb"] > 0
    assert found["last_loss"] > 0

"""Learning curves as a picture."""

from __future__ import annotations

from pathlib import Path

TITLES = {
    "loss": "training loss",
    "accuracy": "accuracy on augmented training clips",
    "validation_accuracy": "accuracy on validation persons",
    "transport_cost": "transport cost $L_W$",
    "inconsistency": "inconsistency of the two looks $L_C$",
    "group_penalty": "group penalty",
}


def plot_curves(history: list[dict[str, float]], path: Path) -> None:
    """Draw what was logged, one panel a quantity, over the epochs.

    Args:
        history: one row an epoch, with ``epoch`` and some of :data:`TITLES`.
        path: the PNG to write.
    """
    from matplotlib.figure import Figure

    names = [name for name in TITLES if name in history[0]]
    figure = Figure(figsize=(3.2 * len(names), 2.6), layout="constrained")
    epochs = [row["epoch"] for row in history]
    for name, axes in zip(names, figure.subplots(1, len(names), squeeze=False)[0], strict=True):
        axes.plot(epochs, [row[name] for row in history], color="#2563eb")
        axes.set_title(TITLES[name], fontsize=9)
        axes.set_xlabel("epoch", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        if "accuracy" in name:
            axes.set_ylim(0, 1.02)
    figure.savefig(path, dpi=120)

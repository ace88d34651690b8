"""The diagnosis as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

mpl.use("Agg")

COLOURS = ("#3b6ea5", "#d1762c", "#4f8f4a", "#8e5ea2", "#b0413e", "#7a7a7a", "#b59a2e", "#3aa6a6")


def alignment(path: Path, title: str, clips: dict[str, dict[str, np.ndarray]]) -> None:
    """Transport plans of executions of one action, and their features by the clock and on the canonical timeline.

    Args:
        path: of the PNG.
        title: the action.
        clips: by name: ``plan`` (M, T), ``mass`` (T,), ``time`` (T,), ``before`` (T,) and ``after`` (M,), the course of
            the feature that moves most.
    """
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    grid = figure.subplots(2, 3)
    for row, (name, clip) in enumerate(clips.items()):
        frames = len(clip["mass"])
        plan = len(clip["plan"]) * clip["plan"]
        shown = grid[row, 0].imshow(plan, origin="lower", aspect="auto", cmap="Blues", vmin=0)
        grid[row, 0].plot(np.arange(frames), clip["time"] * len(plan) - 0.5, color=COLOURS[1], lw=1.5)
        grid[row, 0].set(title=f"{name}: plan (line: arc-length time)", xlabel="frame", ylabel="canonical phase")
        figure.colorbar(shown, ax=grid[row, 0], shrink=0.8)
        colour = COLOURS[row]
        grid[0, 1].plot(np.linspace(0, 1, frames), clip["before"], color=colour, label=name)
        grid[1, 1].plot(np.linspace(0, 1, len(clip["after"])), clip["after"], color=colour, label=name)
        grid[0, 2].step(np.arange(frames), clip["mass"] * frames, where="mid", color=colour, label=name)
        grid[1, 2].plot(np.arange(frames), clip["time"], color=colour, label=name)
    grid[0, 1].set(title="feature that moves most, by the clock", xlabel="share of the clip")
    grid[1, 1].set(title="the same on the canonical timeline", xlabel="share of the timeline")
    grid[0, 2].set(title="frame mass (1: uniform)", xlabel="frame")
    grid[1, 2].set(title="arc-length time", xlabel="frame")
    for axes in grid[:, 1:].flat:
        axes.legend(frameon=False)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)


LINES = {"clock": "o--", "aligned": "o-.", "spectrum": "o-"}


def factors(path: Path, moved: dict[str, dict[str, dict[str, list[float]]]]) -> None:
    """How far person factors move the features of each method at TFAM's place, and the embedding."""
    names = list(next(iter(moved.values())))
    figure = Figure(figsize=(3.4 * len(names), 6), layout="constrained")
    grid = figure.subplots(2, len(names), squeeze=False, sharey="row")
    for column, name in enumerate(names):
        for number, (method, found) in enumerate(moved.items()):
            values, colour = found[name]["values"], COLOURS[number]
            for place, line in LINES.items():
                grid[0, column].plot(values, found[name][place], line, ms=3, color=colour, label=f"{method}, {place}")
            grid[1, column].plot(values, found[name]["pooled"], "o-", color=colour, label=method)
        grid[0, column].set_title(name)
        grid[1, column].set_xlabel(name)
    grid[0, 0].set_ylabel("movement at TFAM's place")
    grid[1, 0].set_ylabel("movement of the embedding")
    for axes in grid.flat:
        axes.set_ylim(bottom=0)
    for axes in grid[:, -1]:
        axes.legend(frameon=False, fontsize=8)
    figure.suptitle("Features moved by one person factor, in units of the distance between actions")
    figure.savefig(path, dpi=110)


def gates(path: Path, gate: np.ndarray) -> None:
    """The gate (C, bands) of TFAM's amplitudes: every channel, and mean and spread over the channels."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    bands = np.arange(gate.shape[1])
    order = np.argsort((gate * bands).sum(1))
    reach = max(float(np.abs(gate - 1).max()), 1e-3)
    shown = left.imshow(gate[order], aspect="auto", cmap="RdBu_r", vmin=1 - reach, vmax=1 + reach)
    left.set(title="gate", xlabel="octave (0: the mean)", ylabel="channel, sorted", xticks=bands)
    figure.colorbar(shown, ax=left)
    right.errorbar(bands, gate.mean(0), gate.std(0), fmt="o-", color=COLOURS[0], capsize=3)
    right.axhline(1, color="grey", lw=0.8)
    right.set(title="mean and standard deviation over channels", xlabel="octave (0: the mean)", xticks=bands)
    figure.savefig(path, dpi=110)


def groups(path: Path, rows: list[dict[str, Any]]) -> None:
    """What GIRL's groups hold over the epochs, how large and how hard they are."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    information, sizes, risks = figure.subplots(1, 3)
    epochs = [row["epoch"] for row in rows]
    information.plot(epochs, [row["person_adjusted"] for row in rows], color=COLOURS[0], label="with person")
    information.plot(epochs, [row["label_adjusted"] for row in rows], color=COLOURS[1], label="with class")
    information.axhline(0, color="grey", lw=0.8)
    information.set(title="adjusted mutual information of the groups", xlabel="epoch")
    information.legend(frameon=False)
    for group in range(len(rows[0]["sizes"])):
        colour = COLOURS[group % len(COLOURS)]
        sizes.plot(epochs, [row["sizes"][group] for row in rows], color=colour)
        course = [np.nan if row["risks"][group] is None else row["risks"][group] for row in rows]
        risks.plot(epochs, course, color=colour)
    for axes in (information, sizes, risks):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    sizes.set(title="training clips in each group", xlabel="epoch", ylim=(0, None))
    risks.set(title="running risk of each group", xlabel="epoch")
    figure.savefig(path, dpi=110)


def margins(path: Path, found: dict[str, np.ndarray], persons: np.ndarray) -> None:
    """Margins of unseen persons' clips: their distribution, and each person's share of clips on the wrong side.

    Args:
        path: of the PNG.
        found: margins (N,) of each method.
        persons: who each clip is of (N,).
    """
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    people = np.unique(persons)
    width = 0.8 / len(found)
    for number, (name, margin) in enumerate(found.items()):
        left.plot(np.sort(margin), np.linspace(0, 1, len(margin)), color=COLOURS[number], label=name)
        wrong = [100 * float((margin[persons == person] <= 0).mean()) for person in people]
        right.bar(np.arange(len(people)) + number * width, wrong, width, color=COLOURS[number], label=name)
    left.axvline(0, color="grey", lw=0.8)
    left.set(title="margins of unseen persons", xlabel="probability of the true class - best other", ylabel="share")
    right.set(title="errors of each unseen person, %", xlabel="person")
    right.set_xticks(np.arange(len(people)) + 0.4 - width / 2, people)
    left.legend(frameon=False)
    figure.savefig(path, dpi=110)

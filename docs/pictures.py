"""Draws the README's picture: two synthetic persons, two micro-actions of each of MA-52's seven body parts.

python docs/pictures.py docs/images/micro_actions.png
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from piumr.layouts import get_layout
from piumr.synthetic import ACTIONS, Clip, generate_clip, sample_person

SHOWN = (
    ("shrugging", "rising up"),
    ("nodding", "turning head"),
    ("waving", "spreading hands"),
    ("crossing legs", "spread legs"),
    ("arms akimbo", "scratching or touching shoulder"),
    ("rubbing eyes", "covering face"),
    ("patting legs", "scratching feet"),
)
"""One row a body part, in MA-52's order."""
PERSONS = (8, 3)
MOMENTS = (0.0, 0.25, 0.42)
"""Shares of the clip at which a person is drawn."""
COLOURS = {"left": "#2563eb", "right": "#dc2626", "head": "#0f766e", "torso": "#525252"}
LAYOUT = get_layout("mediapipe-75")


def draw(axes: Axes, points: np.ndarray, centre: float, lowest: float, size: float) -> None:
    """One skeleton (75, 2) in pixels, standing on the lower edge of a picture of that height."""
    colours = [COLOURS[LAYOUT.parts[b].split()[0]] for _, b in LAYOUT.edges]
    axes.add_collection(LineCollection([(points[a], points[b]) for a, b in LAYOUT.edges], colors=colours, linewidths=1))
    shoulders, hips, ears = (points[[i, i + 1]].mean(axis=0) for i in (11, 23, 7))
    axes.add_patch(Circle(ears, 0.22 * np.linalg.norm(shoulders - hips), fill=False, color="#b4b4b4", linewidth=0.8))
    axes.set(xlim=(centre - 0.4 * size, centre + 0.4 * size), ylim=(lowest, lowest - size), aspect="equal")


def strip(row: np.ndarray, clip: Clip) -> None:
    """The moments of one clip, one an axes."""
    points = clip.landmarks[..., :2] * (clip.width, clip.height)
    centre, lowest = np.nanmedian(points[:, 11:13, 0]), np.nanmax(points[..., 1])
    size = 1.08 * (lowest - np.nanmin(points[..., 1]))
    for axes, moment in zip(row, MOMENTS, strict=True):
        draw(axes, points[int(moment * (len(points) - 1))], centre, lowest, size)


def main(path: str) -> None:
    """Draw the picture."""
    part = {action.name: action.part for action in ACTIONS}
    columns = len(MOMENTS) * len(PERSONS)
    figure = Figure(figsize=(2 * columns * 0.95, len(SHOWN) * 1.4))
    margins = {"left": 0, "right": 1, "bottom": 0, "top": 0.97, "wspace": 0, "hspace": 0.24}
    grid = figure.subplots(len(SHOWN), 2 * columns, gridspec_kw=margins)
    for axes in grid.flat:
        axes.axis("off")
    for row, actions in zip(grid, SHOWN, strict=True):
        for half, action in enumerate(actions):
            first = half * columns
            row[first].set_title(f"{part[action]}: {action}", fontsize=10, loc="left")
            for i, person in enumerate(PERSONS):
                begin = first + i * len(MOMENTS)
                clip = generate_clip(sample_person(0, person), action, take=0, seed=0)
                strip(row[begin : begin + len(MOMENTS)], clip)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main(sys.argv[1])

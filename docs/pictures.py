"""Draws the README's picture: two synthetic persons doing the same micro-actions.

python docs/pictures.py docs/images/micro_actions.png
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from piumr.layouts import get_layout
from piumr.synthetic.generator import generate_clip
from piumr.synthetic.persons import sample_person

ACTIONS = ("nodding", "rubbing eyes", "shrugging", "patting legs")
PERSONS = (1, 5)
FRAMES = 7
COLOURS = {"left": "#2563eb", "right": "#dc2626", "head": "#0f766e", "torso": "#525252"}


def main(path: str) -> None:
    """Draw one row an action and person, time to the right."""
    layout = get_layout("mediapipe-75")
    colours = [COLOURS[layout.parts[b].split()[0]] for _, b in layout.edges]
    figure = Figure(figsize=(2 * FRAMES * 0.95, len(ACTIONS) * 1.25), layout="constrained")
    grid = figure.subplots(len(ACTIONS), 2 * FRAMES)
    for row, action in enumerate(ACTIONS):
        for column, index in enumerate(PERSONS):
            clip = generate_clip(sample_person(0, index), action, take=0, seed=0)
            points = clip.landmarks[..., :2] * (clip.width, clip.height)
            upper = np.nanmin(points[:, :, 1]), np.nanmax(points[:, 25:27, 1])
            centre = np.nanmedian(points[:, 11:13, 0])
            half = 0.5 * (upper[1] - upper[0])
            for i, t in enumerate(np.linspace(0, len(points) - 1, FRAMES).astype(int)):
                axes = grid[row, column * FRAMES + i]
                lines = [(points[t, a], points[t, b]) for a, b in layout.edges]
                axes.add_collection(LineCollection(lines, colors=colours, linewidths=0.9))
                axes.set(xlim=(centre - half, centre + half), ylim=(upper[1], upper[0] - 0.05 * half), aspect="equal")
                axes.axis("off")
            grid[row, column * FRAMES].set_title(f"{action}, person {index}", fontsize=9, loc="left")
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main(sys.argv[1])

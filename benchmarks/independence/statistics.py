"""What the results say: figures over seeds, persons one by one, and a paired test against plain training.

Seeds of one person are not independent, and neither are the clips of one person. So a person's accuracy is averaged
over the seeds that both experiments have first, and the test (Wilcoxon's signed ranks) and the interval (percentile
bootstrap) are over persons. A person who is tested by two protocols of one data set counts once, with the mean of the
two differences.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
import torch

from independence.results import Row
from independence.tasks import TASKS
from piumr.metrics import macro_f1, person_accuracy

BASELINE = "erm"

Cell = tuple[str, str]
"""Task and experiment."""


@dataclass(frozen=True)
class Figures:
    """Figures of one seed, in percent, over the pooled test clips of all folds.

    Attributes:
        accuracy: share of clips.
        macro_f1: mean F1 over the classes.
        person_mean: mean over persons of each person's accuracy.
        worst: the lowest accuracy of a person with at least 10 clips.
        by_person: of each person.
    """

    accuracy: float
    macro_f1: float
    person_mean: float
    worst: float
    by_person: dict[str, float]


COLUMNS = ("accuracy", "macro_f1", "person_mean", "worst")


@dataclass(frozen=True)
class Comparison:
    """An experiment against the baseline, over persons.

    Attributes:
        persons: how many were compared.
        difference: mean over persons, points.
        low: lower end of its 95 % bootstrap interval over persons.
        high: upper end.
        p: of Wilcoxon's signed-rank test, two-sided.
        worst: difference of the worst persons' accuracies, mean over tasks, points.
    """

    persons: int
    difference: float
    low: float
    high: float
    p: float
    worst: float


def collect(rows: Iterable[Row]) -> dict[Cell, dict[int, Figures]]:
    """Figures by task and experiment and by seed; seeds that lack a fold are left out."""
    folds: dict[Cell, dict[int, dict[int, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        folds[row["task"], row["experiment"]][row["seed"]][row["fold"]] = row
    found: dict[Cell, dict[int, Figures]] = {}
    for cell, seeds in folds.items():
        whole = {seed: figures(list(parts.values())) for seed, parts in sorted(seeds.items()) if _is_whole(parts)}
        if whole:
            found[cell] = whole
    return found


def figures(rows: Sequence[Row]) -> Figures:
    """Figures of the folds of one seed together."""
    predicted = torch.tensor([label for row in rows for label in row["predicted"]])
    true = torch.tensor([label for row in rows for label in row["true"]])
    persons = [row["persons"][person] for row in rows for person in row["person"]]
    people = person_accuracy(predicted == true, persons)
    return Figures(
        accuracy=100 * float((predicted == true).double().mean()),
        macro_f1=100 * macro_f1(predicted, true, rows[0]["classes"]),
        person_mean=100 * people.mean,
        worst=100 * people.worst,
        by_person={name: 100 * accuracy for name, accuracy in people.by_person.items()},
    )


def person_means(seeds: dict[int, Figures]) -> dict[str, float]:
    """Accuracy of each person, mean over the seeds."""
    names = next(iter(seeds.values())).by_person
    return {name: float(np.mean([figures.by_person[name] for figures in seeds.values()])) for name in names}


def differences(
    found: dict[Cell, dict[int, Figures]], experiment: str, baseline: str, tasks: Sequence[str]
) -> dict[tuple[str, str], float]:
    """Gain of every person (data set, name) over the baseline, mean over seeds and then over a set's tasks, points."""
    gains: dict[tuple[str, str], list[float]] = defaultdict(list)
    for task, ours, plain in _paired(found, experiment, baseline, tasks):
        ours_means, plain_means = person_means(ours), person_means(plain)
        for name, accuracy in ours_means.items():
            gains[TASKS[task].dataset, name].append(accuracy - plain_means[name])
    # rounded, so that ties in the ranks, and zeros, are not broken by the order of additions
    return {person: round(float(np.mean(values)), 9) for person, values in gains.items()}


def compare(
    found: dict[Cell, dict[int, Figures]], experiment: str, baseline: str, tasks: Sequence[str]
) -> Comparison | None:
    """An experiment against the baseline over the tasks that have both; None if no task has or there is one person."""
    gains = np.array(list(differences(found, experiment, baseline, tasks).values()))
    if len(gains) < 2:
        return None
    worst = [
        np.mean([ours[seed].worst - plain[seed].worst for seed in ours])
        for _, ours, plain in _paired(found, experiment, baseline, tasks)
    ]
    low = high = float(gains[0])
    if np.ptp(gains) > 0:
        drawn = scipy.stats.bootstrap((gains,), np.mean, n_resamples=10_000, method="percentile", rng=0)
        low, high = (float(end) for end in drawn.confidence_interval)
    p = float(scipy.stats.wilcoxon(gains).pvalue) if gains.any() else 1.0
    return Comparison(len(gains), float(gains.mean()), low, high, p, float(np.mean(worst)))


def _paired(
    found: dict[Cell, dict[int, Figures]], experiment: str, baseline: str, tasks: Sequence[str]
) -> Iterator[tuple[str, dict[int, Figures], dict[int, Figures]]]:
    """Tasks with the figures of both experiments, of the seeds that both have: a seed's luck is then in both."""
    for task in tasks:
        ours, plain = found.get((task, experiment), {}), found.get((task, baseline), {})
        if seeds := sorted(ours.keys() & plain.keys()):
            yield task, {seed: ours[seed] for seed in seeds}, {seed: plain[seed] for seed in seeds}


def table(found: dict[Cell, dict[int, Figures]]) -> str:
    """Markdown: a line for each task and experiment, mean and standard deviation over seeds, percent."""
    lines = [
        "| task | experiment | seeds | accuracy | macro F1 | mean person | worst person |",
        "|---|---|---|---|---|---|---|",
    ]
    for task, experiment in found:
        seeds = list(found[task, experiment].values())
        cells = " | ".join(_mean_std([getattr(figures, column) for figures in seeds]) for column in COLUMNS)
        lines.append(f"| {task} | {experiment} | {len(seeds)} | {cells} |")
    return "\n".join(lines)


def comparison_table(found: dict[Cell, dict[int, Figures]], baseline: str = BASELINE) -> str:
    """Markdown: every experiment against the baseline, over the real tasks, over the populations, then one by one."""
    experiments = dict.fromkeys(experiment for _, experiment in found if experiment != baseline)
    tasks = list(dict.fromkeys(task for task, _ in found))
    real = [task for task in tasks if TASKS[task].real]
    lines = [
        f"| experiment - {baseline} | tasks | persons | points (95 %) | p | worst person |",
        "|---|---|---|---|---|---|",
    ]
    development = [task for task in tasks if TASKS[task].development]
    pools = [real, development, *([task] for task in tasks)]
    for experiment in experiments:
        printed = []
        for pool in pools:
            shared = [task for task, *_ in _paired(found, experiment, baseline, pool)]
            compared = compare(found, experiment, baseline, shared)
            if compared is not None and shared not in printed:
                printed.append(shared)
                c = compared
                lines.append(
                    f"| {experiment} | {', '.join(shared)} | {c.persons} | {c.difference:+.2f} ({c.low:+.2f} to "
                    f"{c.high:+.2f}) | {c.p:.3g} | {c.worst:+.1f} |"
                )
    return "\n".join(lines)


def person_table(found: dict[Cell, dict[int, Figures]], task: str) -> str:
    """Markdown: a task's persons, one column an experiment, mean over seeds in percent."""
    means = {experiment: person_means(seeds) for (t, experiment), seeds in found.items() if t == task}
    people = sorted(next(iter(means.values())), key=lambda name: (len(name), name))
    lines = [f"| {task}: person | {' | '.join(means)} |", "|---" * (1 + len(means)) + "|"]
    lines += [f"| {name} | {' | '.join(f'{column[name]:.1f}' for column in means.values())} |" for name in people]
    return "\n".join(lines)


def _is_whole(parts: dict[int, Row]) -> bool:
    return len(parts) == next(iter(parts.values()))["folds"]


def _mean_std(values: Sequence[float]) -> str:
    return f"{np.mean(values):.1f} ± {np.std(values):.1f}" if len(values) > 1 else f"{values[0]:.1f}"

"""How well each method recognises persons it has never seen: tasks x experiments x folds x seeds.

One JSON line a training is appended to the results file, with the prediction of every test clip, so every statistic
can be made again from it; a run can be stopped and started at any time, and what is there is not trained again.
Persons in a test fold choose nothing: fixed schedule, last weights. Choices are made with ``--inner``, on person folds
inside the training persons, or on the tasks ``population-N``, synthetic persons of other seeds. ``--set`` makes an
experiment from any fields of the training's configuration.

    python benchmarks/person_independence.py --data ../shared/data/skeletons --out results.jsonl
    python benchmarks/person_independence.py --data ../shared/data/skeletons --out tuning.jsonl --inner --tasks utd
        --experiments erm --set early model.tfam_stage=0 --set weak method=girl terms.boundary=0.5
    python benchmarks/person_independence.py --out results.jsonl --table
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, as_completed
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from independence.experiments import EXPERIMENTS, GROUPS, OURS, Experiment, parse_experiment, settings
from independence.results import Key, Row, append_row, check_settings, code_digest, key_of, read_rows
from independence.statistics import BASELINE, collect, comparison_table, person_table, table
from independence.tasks import TASKS, load_task
from independence.training import FLOOR, Job, prepare, run, start_worker
from pebble import ProcessExpired, ProcessPool

from piumr.errors import PiumrError


def main() -> int:
    """Train what is missing, then print the tables."""
    arguments = _arguments()
    rows = read_rows(arguments.out)
    failed = 0
    try:
        if not arguments.table:
            experiments = _experiments(arguments)
            jobs = _missing(arguments, experiments, rows)
            failed = _train(jobs, arguments, rows)
    except (PiumrError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from here.", file=sys.stderr)
        return 130
    kept = [row for row in rows if row["version"] == arguments.version and row["inner"] == arguments.inner]
    kept = [row for row in kept if row["task"] in arguments.tasks]
    if not kept:
        print(f"No results of version {arguments.version!r} in {arguments.out}.", file=sys.stderr)
        return 1
    print(_provenance(kept), file=sys.stderr)
    found = collect(sorted(kept, key=_order))
    parts = [table(found), comparison_table(found, arguments.baseline)]
    if not arguments.inner:
        untouched = [{**row, "folds": 1} for row in sorted(filter(_is_untouched, kept), key=_order)]
        parts += ["The first folds' test persons alone, at whom --inner never looks:"]
        parts += [comparison_table(collect(untouched), arguments.baseline)]
    if arguments.persons:
        parts += [person_table(found, task) for task in dict.fromkeys(task for task, _ in found)]
    print("\n\n".join(parts))
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(description=summary)
    names = [*GROUPS, *EXPERIMENTS, FLOOR]
    parser.add_argument("--out", type=Path, required=True, help="results, JSON lines, appended to")
    parser.add_argument("--data", type=Path, help="folder of the real skeleton sets")
    parser.add_argument(
        "--tasks", nargs="+", choices=TASKS, help="default: all but populations, with --inner those with inner folds"
    )
    parser.add_argument("--experiments", nargs="*", choices=names, metavar="NAME", help=f"among {', '.join(names)}")
    parser.add_argument(
        "--set", nargs="+", action="append", default=[], metavar="NAME KEY=VALUE", help="an experiment of one's own"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--inner", action="store_true", help="score on person folds inside the training persons")
    parser.add_argument("--version", default="dev", help="tag of the code and defaults that are measured")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--baseline", default=BASELINE, metavar="NAME", help="what the others are compared with")
    parser.add_argument("--persons", action="store_true", help="also a table of every task's persons")
    arguments = parser.parse_args()
    if arguments.tasks is None:
        tasks = {name: task for name, task in TASKS.items() if not task.development}
        arguments.tasks = [name for name, task in tasks.items() if not (arguments.inner and task.second)]
    return arguments


def _experiments(arguments: argparse.Namespace) -> dict[str, Experiment]:
    """What is asked for by name and by --set; without either, our own methods."""
    own = {words[0]: parse_experiment(words[0], words[1:]) for words in arguments.set}
    taken = [name for name in own if name in EXPERIMENTS or name in GROUPS or name == FLOOR]
    if taken:
        raise PiumrError(f"Expected --set to give a new name, but got {taken[0]!r}.")
    asked = arguments.experiments
    if asked is None:
        asked = [] if own else ["ours"]
    chosen: dict[str, Experiment] = {}
    for name in asked:
        chosen |= GROUPS.get(name) or {name: EXPERIMENTS.get(name, Experiment(name))}
    return chosen | own


def _missing(arguments: argparse.Namespace, experiments: dict[str, Experiment], rows: list[Row]) -> list[Job]:
    """The trainings that the results lack; those of a seed come before those of the next."""
    version, inner = arguments.version, arguments.inner
    tasks = {name: load_task(name, arguments.data, inner) for name in arguments.tasks}
    now = {
        (task, name): settings(made, prepare(made, data))
        for (task, data), (name, made) in itertools.product(tasks.items(), experiments.items())
        if name != FLOOR
    }
    check_settings(rows, now, version, inner)
    done = {key_of(row) for row in rows}
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    keys = [
        (Key(version, inner, task, name, seed, fold), made)
        for seed, (task, data) in itertools.product(seeds, tasks.items())
        for fold, (name, made) in itertools.product(range(len(data.splits)), experiments.items())
        if (name != FLOOR or seed == arguments.first_seed) and _belongs(name, task)
    ]
    return [Job(key, made, arguments.data) for key, made in keys if key not in done]


def _belongs(name: str, task: str) -> bool:
    """Whether an experiment runs on a task: lists other than our own do not on a set's second protocol."""
    return not TASKS[task].second or name in OURS or name not in EXPERIMENTS


def _train(jobs: list[Job], arguments: argparse.Namespace, rows: list[Row]) -> int:
    """Train in worker processes of one thread each and keep every result at once; the number of failures."""
    print(f"{len(jobs)} trainings to do", file=sys.stderr)
    failed, started = 0, time.monotonic()
    todo = Counter((job.key.task, job.key.experiment) for job in jobs)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with _workers(arguments.workers) as pool:
        running = {pool.schedule(run, (job,)): job for job in jobs}
        for count, future in enumerate(as_completed(running), start=1):
            key, row = running[future].key, _result(future)
            todo[key.task, key.experiment] -= 1
            head = f"[{count}/{len(jobs)}] {key.task} {key.experiment}, seed {key.seed}, fold {key.fold}"
            if "error" in row:
                failed += 1
                print(f"{head}: failed: {row['error']}", file=sys.stderr)
                continue
            append_row(arguments.out, row)
            rows.append(row)
            spent = (time.monotonic() - started) / 60
            left = _seconds_left(todo, rows) / arguments.workers / 60
            result = f"{100 * row['accuracy']:.1f} % in {row['seconds']:.0f} s"
            print(f"{head}: {result} ({spent:.0f} min, about {left:.0f} to go)", file=sys.stderr, flush=True)
    return failed


@contextmanager
def _workers(count: int) -> Iterator[ProcessPool]:
    """Worker processes that end at once when the block does; one that is killed takes its own training with it."""
    pool = ProcessPool(count, initializer=start_worker, context=multiprocessing.get_context("spawn"))
    try:
        yield pool
    finally:
        pool.stop()
        pool.join()


def _result(future: Future[Row]) -> Row:
    """What a training gave, or ``error`` if its process died."""
    try:
        return future.result()
    except ProcessExpired as died:
        return {"error": f"its process died with exit code {died.exitcode}; often a lack of memory: fewer --workers"}


def _seconds_left(todo: Counter[tuple[str, str]], rows: list[Row]) -> float:
    """Expected seconds of one worker for what is to do.

    By the median training of each experiment on each task so far, of all on the task where it has had none there.
    """

    def typical(task: str, experiment: str) -> float:
        there = [row for row in rows if row["task"] == task]
        same = [row for row in there if row["experiment"] == experiment]
        return float(np.median([row["seconds"] for row in same or there] or [0.0]))

    return sum(count * typical(*what) for what, count in todo.items() if count)


def _provenance(rows: list[Row]) -> str:
    """What made the trainings of a table: code, torch and device, and how many."""
    code = code_digest()
    makers = Counter(
        f"{'this' if row['code'] == code else 'other'} code, torch {row['torch']}, {row['device']}" for row in rows
    )
    return "Trainings: " + "; ".join(f"{count} by {maker}" for maker, count in makers.most_common())


def _is_untouched(row: Row) -> bool:
    """Whether no form was compared on the row's test persons.

    Those of other folds train in the first one, inside whose training persons --inner compares; those of a second
    protocol train in the first protocol.
    """
    task = TASKS[row["task"]]
    return row["fold"] == 0 and not task.development and not task.second


def _order(row: Row) -> tuple[int, int]:
    """Tasks and experiments in the order of their lists, others behind them."""
    experiments = [FLOOR, *EXPERIMENTS]
    name = row["experiment"]
    return list(TASKS).index(row["task"]), experiments.index(name) if name in experiments else len(experiments)


if __name__ == "__main__":
    sys.exit(main())

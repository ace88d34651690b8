import numpy as np
import pytest
from independence.statistics import collect, compare, comparison_table, figures, person_table, table


def make_row(task, experiment, seed, right, fold=0, folds=1, clips=20):
    """A fold in which each person has so many of 20 clips right."""
    names = sorted(right)
    predicted = [int(k >= right[name]) for name in names for k in range(clips)]
    return {
        "task": task,
        "experiment": experiment,
        "seed": seed,
        "fold": fold,
        "folds": folds,
        "classes": 2,
        "persons": names,
        "person": [i for i in range(len(names)) for _ in range(clips)],
        "true": [0] * len(predicted),
        "predicted": predicted,
    }


def test_figures_pool_the_folds():
    found = figures([make_row("utd", "erm", 0, {"a": 10}), make_row("utd", "erm", 0, {"b": 20, "c": 12})])
    assert found.accuracy == pytest.approx(100 * 42 / 60)
    assert found.person_mean == pytest.approx((50 + 100 + 60) / 3)
    assert found.worst == pytest.approx(50)
    assert found.by_person == pytest.approx({"a": 50, "b": 100, "c": 60})
    # F1 of class 0 is 2 TP / (2 TP + FN), of class 1, which never occurs, 0
    assert found.macro_f1 == pytest.approx(100 * (2 * 42 / (2 * 42 + 18)) / 2)


def test_a_seed_that_lacks_a_fold_is_left_out():
    rows = [make_row("utd", "erm", seed, {"ab"[fold]: 10}, fold, 2) for seed in (0, 1) for fold in (0, 1)]
    assert list(collect(rows)["utd", "erm"]) == [0, 1]
    assert list(collect(rows[:3])["utd", "erm"]) == [0]
    assert collect(rows[:1]) == {}


def test_six_persons_who_all_gain_have_the_exact_p_of_the_signed_rank_test():
    plain = {"abcdef"[i]: 10 for i in range(6)}
    ours = {"abcdef"[i]: 11 + i for i in range(6)}
    found = collect([make_row("utd", "erm", 0, plain), make_row("utd", "piumr", 0, ours)])
    compared = compare(found, "piumr", "erm", ["utd"])
    assert compared.p == pytest.approx(2 / 2**6)  # of the 2^6 equally likely signs the two most extreme
    assert compared.persons == 6
    assert compared.difference == pytest.approx(np.mean([5, 10, 15, 20, 25, 30]))
    assert 5 < compared.low < compared.difference < compared.high < 30
    assert compared.worst == pytest.approx(5)


def test_more_seeds_are_not_more_persons():
    plain, ours = {"a": 10, "b": 12, "c": 9}, {"a": 11, "b": 14, "c": 8}
    once = [make_row("utd", "erm", 0, plain), make_row("utd", "piumr", 0, ours)]
    often = [{**row, "seed": seed} for row in once for seed in range(5)]
    one, five = (compare(collect(rows), "piumr", "erm", ["utd"]) for rows in (once, often))
    assert one == five
    assert one.p > 0.2


def test_seeds_are_averaged_before_persons_are_compared():
    rows = [make_row("utd", "erm", seed, {"a": 10, "b": 10}) for seed in (0, 1)]
    rows += [make_row("utd", "piumr", 0, {"a": 14, "b": 10}), make_row("utd", "piumr", 1, {"a": 10, "b": 8})]
    compared = compare(collect(rows), "piumr", "erm", ["utd"])
    assert compared.difference == pytest.approx((10 - 5) / 2)


def test_persons_pool_across_sets_but_a_person_of_two_protocols_counts_once():
    rows = []
    for task, gain in (("utd", 2), ("utd-loso", 4), ("signs", 1)):
        rows += [make_row(task, "erm", 0, {"1": 10, "2": 10}), make_row(task, "piumr", 0, {"1": 10 + gain, "2": 10})]
    compared = compare(collect(rows), "piumr", "erm", ["utd", "utd-loso", "signs"])
    assert compared.persons == 4  # 1 and 2 of UTD-MHAD, 1 and 2 of the signs
    assert compared.difference == pytest.approx((15 + 0 + 5 + 0) / 4)


def test_no_difference_is_no_evidence():
    rows = [make_row("utd", name, 0, {"a": 10, "b": 12}) for name in ("erm", "piumr")]
    compared = compare(collect(rows), "piumr", "erm", ["utd"])
    assert (compared.difference, compared.low, compared.high, compared.p) == (0, 0, 0, 1)


def test_rounding_is_no_difference():
    seeds = [{"a": 7, "b": 10}, {"a": 11, "b": 10}, {"a": 12, "b": 10}]
    rows = [make_row("utd", "erm", seed, right, clips=13) for seed, right in enumerate(seeds)]
    rows += [make_row("utd", "piumr", seed, right, clips=13) for seed, right in enumerate(reversed(seeds))]
    assert compare(collect(rows), "piumr", "erm", ["utd"]).p == 1


def test_only_seeds_that_both_have_are_compared():
    rows = [make_row("utd", "erm", seed, {"a": 10, "b": 14 + 2 * seed}) for seed in (0, 1, 2)]
    rows += [make_row("utd", "piumr", seed, {"a": 12, "b": 16}) for seed in (0, 7)]
    found = compare(collect(rows), "piumr", "erm", ["utd"])
    assert (found.difference, found.worst) == (10, 10)  # of seed 0: two clips of twenty for either person
    strangers = [make_row("utd", "piumr", 7, {"a": 12, "b": 16})]
    assert compare(collect([*rows[:3], *strangers]), "piumr", "erm", ["utd"]) is None


def test_no_comparison_is_printed_twice():
    rows = [make_row(task, "erm", 0, {"a": 10, "b": 14}) for task in ("utd", "msr")]
    rows += [make_row("utd", "piumr", 0, {"a": 12, "b": 16}), make_row("utd", "tfam", 0, {"a": 12, "b": 16})]
    rows += [make_row("msr", "tfam", 0, {"a": 12, "b": 16})]
    lines = comparison_table(collect(rows)).splitlines()[2:]
    assert [line.split("|")[2].strip() for line in lines] == ["utd", "utd, msr", "utd", "msr"]


def test_there_is_no_comparison_without_the_baseline():
    found = collect([make_row("utd", "piumr", 0, {"a": 10, "b": 12})])
    assert compare(found, "piumr", "erm", ["utd"]) is None
    assert comparison_table(found).count("\n") == 1


def test_tables_name_tasks_experiments_and_persons():
    rows = [make_row("utd", "erm", seed, {"a": 10, "b": 14 + 2 * seed}) for seed in (0, 1)]
    rows += [make_row(task, "piumr", 0, {"a": 16, "b": 16}) for task in ("utd", "synthetic")]
    rows += [make_row("synthetic", "erm", 0, {"a": 15, "b": 16})]
    found = collect(rows)
    assert "| utd | erm | 2 | 62.5 ± 2.5 |" in table(found)
    assert "| utd | piumr | 1 | 80.0 |" in table(found)
    pooled, *single = comparison_table(found).splitlines()[2:]
    assert pooled.startswith("| piumr | utd | 2 | +20.00")  # synthetic persons are not among the real ones
    assert [line.split("|")[2].strip() for line in single] == ["synthetic"]
    assert person_table(found, "utd").splitlines()[2:] == ["| a | 50.0 | 80.0 |", "| b | 75.0 | 80.0 |"]

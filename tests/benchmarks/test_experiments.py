import pytest
from independence.experiments import (
    EXPERIMENTS,
    Experiment,
    configure,
    override,
    parse_experiment,
    settings,
)
from independence.tasks import TASKS

from piumr.errors import PiumrError
from piumr.training.config import TrainConfig


def test_overrides_reach_every_depth_and_keep_types():
    made = parse_experiment(
        "x",
        [
            "method=tfam",
            "terms.boundary=2",
            "model.tfam_options.still_share=5e-2",
            'model.streams=["joint"]',
            "precision=32-true",
        ],
    )
    config = configure(made, TASKS["utd"])
    assert (config.method, config.terms.boundary, type(config.terms.boundary)) == ("tfam", 2.0, float)
    assert config.model.tfam_options == {"still_share": 0.05}
    assert config.model.streams == ("joint",)
    assert config.precision == "32-true"
    assert config.optim.epochs == TASKS["utd"].epochs


def test_the_default_method_is_piumr_and_parts_can_be_fixed():
    made = parse_experiment("x", ["fixed.tfam.norm.bias=-20", "groups=random", "look=network", "optim.epochs=3"])
    assert made == Experiment("piumr", {"optim.epochs": 3}, {"tfam.norm.bias": -20}, "random", "network")
    with pytest.raises(PiumrError, match=r"fixed\.a to be a number"):
        parse_experiment("x", ["fixed.a=b"])


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("terms.bound", 1, "'bound'"),
        ("nothing.at.all", 1, "'nothing.at.all'"),
        ("terms", 1, "within 'terms'"),
        ("optim.epochs", 1.5, "type int"),
        ("terms.boundary", "much", "type float"),
        ("terms.boundary", -1, "boundary"),
        ("seed.low", 1, "'low'"),
    ],
)
def test_a_wrong_override_is_one_line(path, value, message):
    with pytest.raises(PiumrError, match=message):
        override(TrainConfig(), path, value)


def test_an_assignment_needs_an_equals_sign():
    with pytest.raises(PiumrError, match="KEY=VALUE"):
        parse_experiment("x", ["terms.boundary"])


def test_settings_tell_experiments_apart_and_leave_the_seed_out():
    seen = [settings(made, configure(made, TASKS["utd"])) for made in EXPERIMENTS.values()]
    assert all(a != b for i, a in enumerate(seen) for b in seen[:i])
    assert "seed" not in seen[0]
    assert seen[0]["model.backbone"] == "microgcn-nano"


@pytest.mark.parametrize("method", ["erm", "tfam", "girl", "vrex", "dsu"])
def test_settings_are_those_that_the_method_uses(method):
    def differ(path, value):
        made = Experiment(method), Experiment(method, {path: value})
        plain, other = (settings(each, configure(each, TASKS["utd"])) for each in made)
        return plain != other

    assert differ("optim.epochs", 7)
    assert differ("model.tfam_stage", 0) == differ("terms.consistency_weight", 0.1) == (method == "tfam")
    assert differ("model.tfam_options.bands", 2) == (method == "tfam")
    assert differ("terms.groups", 2) == differ("terms.boundary_width", 0.1) == (method == "girl")
    assert differ("terms.girl_warmup", 0.5) == (method in ("girl", "vrex"))
    assert differ("terms.rival_options.p", 0.1) == (method in ("vrex", "dsu"))


def test_every_method_has_the_same_schedule_and_precision():
    made = [configure(Experiment(method), TASKS["msr"]) for method in ("erm", "piumr", "dsu")]
    assert made[0].optim == made[1].optim == made[2].optim
    assert (made[0].optim.batch_size, made[0].optim.learning_rate) == (16, 6e-3)
    assert {config.precision for config in made} == {"bf16-mixed"}

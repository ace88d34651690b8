"""Missing landmarks from the set to the gradient: nothing that is not seen may turn a loss into NaN."""

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from piumr.data.augment import Augmentation
from piumr.data.protocols import All
from piumr.data.store import ClipStore
from piumr.girl import GIRL
from piumr.model import ActionNet, ModelConfig
from piumr.synthetic import synthetic_set
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.fit import fit, predict
from piumr.training.progress import RISK

SMALL = ModelConfig(backbone_options={"channels": (8, 16, 16), "depths": (1, 1, 1)}, frames=16)
HARSH = Augmentation(dropout=1.0, dropout_span=1.0)
HANDS = slice(33, 75)
BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "missing_landmarks.py"


def no_hands(valid):
    valid[:, HANDS] = False


def no_body(valid):
    valid[:, :33] = False


def empty_frames(valid):
    valid[len(valid) // 3 :] = False


def one_frame(valid):
    valid[1:] = False


def one_joint(valid):
    valid[:] = False
    valid[:, 15] = True


def one_point(valid):
    valid[:] = False
    valid[3, 40] = True


def nothing(valid):
    valid[:] = False


DEFECTS = (no_hands, no_body, empty_frames, one_frame, one_joint, one_point, nothing)


@pytest.fixture(scope="module")
def clips():
    few = synthetic_set(persons=1, takes=1, seed=0)
    return few.subset(range(0, 48, 3))  # 16 classes


def spoil(clips, *defects):
    """Clip i gets defect i (around and around); what is not valid holds garbage, as an estimator's output may."""
    valid = clips.valid.copy()
    for i in range(len(clips)):
        defects[i % len(defects)](valid[clips.offsets[i] : clips.offsets[i + 1]])
    return replace(clips, valid=valid, points=np.where(valid[..., None], clips.points, np.float32(1e30)))


def terms_of(clips, augmentation, seed=0):
    """Every term of the loss and the gradients of their sum, after one pass of a batch in training mode."""
    torch.manual_seed(seed)
    store, noise = ClipStore.pack(clips, SMALL.frames), torch.Generator().manual_seed(seed)
    indices = torch.arange(len(clips))
    points, valid = store.sample(indices, augmentation.times(len(clips), SMALL.frames, noise))
    points, valid = augmentation(points, valid, store.layout, noise)
    net = ActionNet(store.layout, store.num_classes, store.dimensions, SMALL, tfam=True).train()
    torch.nn.init.normal_(net.tfam.temporal.attention)
    girl = GIRL(store.num_classes, net.style_features).train()
    terms = {}
    for _ in range(3):  # GIRL's running figures need a history to be used
        output = net(points, valid)
        loss = girl(output.logits, store.labels, output.style)
        terms = {
            "logits": output.logits,
            "girl": loss.loss,
            "group penalty": loss.group_penalty,
            "transport cost": output.transport_cost,
            "inconsistency": output.inconsistency,
        }
    (terms["girl"] + terms["transport cost"] + terms["inconsistency"]).backward()
    gradients = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    assert len(gradients) > 0.8 * len(list(net.parameters()))
    return terms, gradients, dict((*net.named_buffers(), *girl.named_buffers()))


def assert_finite(*groups):
    for group in groups:
        for name, tensor in group.items():
            assert torch.isfinite(tensor).all(), name


@pytest.mark.parametrize("augmentation", [Augmentation(), HARSH], ids=["default", "harsh"])
@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_a_batch_of_only_such_clips_has_finite_terms_and_gradients(clips, defect, augmentation):
    assert_finite(*terms_of(spoil(clips, defect), augmentation))


def test_such_clips_beside_whole_ones_have_finite_terms_and_gradients(clips):
    assert_finite(*terms_of(spoil(clips, lambda valid: None, *DEFECTS), HARSH))


def test_clips_that_show_nothing_add_nothing_to_tfams_terms(clips):
    half, whole = spoil(clips, lambda valid: None, nothing), clips.subset(range(0, len(clips), 2))
    torch.manual_seed(0)
    net = ActionNet(clips.layout, len(clips.class_names), 2, SMALL, tfam=True).eval()
    a, b = (net(*ClipStore.pack(each, SMALL.frames).evaluation(range(len(each)))) for each in (half, whole))
    assert a.transport_cost > 0
    torch.testing.assert_close(a.transport_cost, b.transport_cost)
    torch.testing.assert_close(a.inconsistency, b.inconsistency)


def test_a_training_on_such_clips_stays_finite(clips):
    spoilt = spoil(clips, lambda valid: None, *DEFECTS)
    config = TrainConfig(method="piumr", model=SMALL, optim=OptimConfig(epochs=3, batch_size=8, warmup_epochs=0))
    (split,) = All().split(spoilt)
    store = ClipStore.pack(spoilt, SMALL.frames)
    outcome = fit(store, split.train, config)
    logged = [value for row in outcome.history for name, value in row.items() if not name.startswith(RISK)]
    assert np.isfinite(logged).all()  # a group that nobody has joined yet has no risk
    assert_finite(outcome.net.state_dict())
    assert torch.isfinite(predict(outcome.net, store, split.test)).all()


@pytest.mark.slow
def test_a_mask_costs_less_than_zeros_where_hands_go_missing():
    """30 % of the hands drop out at test time: the model is told, or gets the point (0, 0) instead."""
    accuracy = runpy.run_path(str(BENCHMARK))["measure"](seed=0)
    whole, masked, zeroed = (accuracy[name] for name in ("nothing lost", "30% masked", "30% zero-filled"))
    assert whole > 0.3
    assert whole - masked < 0.3 * (whole - zeroed)

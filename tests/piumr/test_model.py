import pytest
import torch

from piumr.errors import PiumrError
from piumr.layouts import LAYOUTS, get_layout
from piumr.model import ActionNet, ModelConfig

SMALL = {"channels": (12, 16, 24), "depths": (1, 1, 1)}


def make_net(layout="mediapipe-33", *, tfam=True, **config):
    torch.manual_seed(0)
    return ActionNet(get_layout(layout), 5, 2, ModelConfig(backbone_options=SMALL, frames=16, **config), tfam=tfam)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout(layout):
    V = len(get_layout(layout))
    output = make_net(layout)(torch.randn(3, 2, 16, V), torch.rand(3, 16, V) > 0.2)
    assert output.logits.shape == (3, 5)
    assert output.style.shape == (3, 24)
    assert output.transport_cost.shape == output.inconsistency.shape == ()


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_tfam_leaves_the_backbone_as_it_is(stage):
    plain, wrapped = make_net(tfam=False).eval(), make_net(tfam_stage=stage).eval()
    wrapped.load_state_dict(plain.state_dict(), strict=False)
    x, valid = torch.randn(2, 2, 16, 33), torch.rand(2, 16, 33) > 0.2
    expected, found = plain(x, valid), wrapped(x, valid)
    torch.testing.assert_close(expected.embedding, found.embedding)
    torch.testing.assert_close(plain.backbone.classifier(expected.embedding), expected.logits)
    assert not torch.allclose(expected.logits, found.logits)
    assert expected.transport_cost is None


def test_every_parameter_learns():
    net = make_net()
    torch.nn.init.normal_(net.tfam.temporal.attention)  # at zero, the distance has no slope
    output = net(torch.randn(4, 2, 16, 33), torch.rand(4, 16, 33) > 0.2)
    loss = output.logits.logsumexp(1).sum() + output.transport_cost + output.inconsistency
    loss.backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_style_carries_no_gradient():
    assert not make_net()(torch.randn(2, 2, 16, 33), torch.ones(2, 16, 33, dtype=torch.bool)).style.requires_grad


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"backbone": "resnet"}, "stgcnpp"),
        ({"tfam_stage": 3}, r"0\.\.2"),
        ({"streams": ("speed",)}, "joint, bone, motion"),
        ({"streams": ("joint", "joint")}, "streams"),
        ({"tfam_options": {"epsilon": 1}}, "tfam_options"),
        ({"tfam_options": {"bands": 2.5}}, "bands"),
        ({"tfam_options": {"still_share": "0.1"}}, "still_share"),
        ({"tfam_options": {"still_share": float("nan")}}, "still_share"),
        ({"tfam_options": {"dropout": None}}, "dropout"),
        ({"tfam_options": {"perturb_probability": [1]}}, "perturb_probability"),
        ({"tfam_options": {"perturb_scale": "much"}}, "perturb_scale"),
        ({"tfam_options": {"perturb_scale": -1}}, "perturb_scale"),
    ],
)
def test_wrong_configurations_are_refused(config, message):
    with pytest.raises(PiumrError, match=message):
        make_net(**config)


@pytest.mark.parametrize("frames", [0, -1, 4097, 16.0, "16"])
def test_frames_out_of_range_are_refused(frames):
    with pytest.raises(PiumrError, match=r"`frames`.*1\.\.4096"):
        ModelConfig(frames=frames)


def test_too_few_frames_for_tfam_are_named_with_its_stage():
    with pytest.raises(PiumrError, match=r"`frames` to leave at least 2 at `tfam_stage` 2, but 4 leave 1"):
        ActionNet(
            get_layout("mediapipe-33"),
            5,
            2,
            ModelConfig(backbone_options=SMALL | {"strides": (1, 2, 4)}, frames=4, tfam_stage=2),
            tfam=True,
        )


@pytest.mark.parametrize("options", [{"channels": "abc"}, {"depths": (1, 1)}, {"strides": (0, 1, 1)}])
def test_wrong_stages_are_the_users_error(options):
    with pytest.raises(PiumrError, match=next(iter(options))):
        ActionNet(get_layout("mediapipe-33"), 5, 2, ModelConfig(backbone_options=SMALL | options), tfam=False)

from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch

from piumr.checkpoint import load_checkpoint, save_checkpoint
from piumr.errors import PiumrError
from piumr.export import OPSET, export_onnx
from piumr.inference import ModelCard, Recognizer
from piumr.layouts import get_layout
from piumr.model import ActionNet, ModelConfig

LAYOUT = get_layout("mediapipe-33")
CARD = ModelCard(("a", "b", "c"), LAYOUT, frames=16, coordinates="image", coarse=(0, 1, 1), coarse_names=("x", "y"))


def trained_like(seed=0, tfam=True):
    """A network whose weights and statistics are all away from their initial values."""
    torch.manual_seed(seed)
    config = ModelConfig(backbone_options={"channels": (12, 16, 24), "depths": (1, 1, 1)}, frames=16)
    net = ActionNet(LAYOUT, 3, 2, config, tfam=tfam)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight, 1, 0.2)
            torch.nn.init.normal_(module.bias, 0, 0.2)
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return net.eval()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    net, path = trained_like(), tmp_path_factory.mktemp("export") / "model.onnx"
    export_onnx(net, CARD, path)
    return net, path


def test_a_checkpoint_of_an_older_version_says_which_and_what_to_do(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, trained_like(), replace(CARD, version="0.0.3"))
    saved = torch.load(path, weights_only=True)
    for change, message in (
        ({"format": 0}, "format 1, but got 0"),
        ({"model": {**saved["model"], "attention": True}}, "attention"),
        ({"weights": {"net.old": torch.zeros(3)}}, "Missing key"),
    ):
        torch.save({**saved, **change}, path)
        with pytest.raises(PiumrError, match=message) as raised:
            load_checkpoint(path)
        assert "written by piumr 0.0.3, this is" in str(raised.value)
        assert "train again" in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("opcode", list("taesubR."))
def test_a_text_is_no_checkpoint(tmp_path, opcode):
    (tmp_path / "checkpoint.pt").write_text(f"{opcode}his is text\n")
    with pytest.raises(PiumrError, match="cannot be read as one"):
        load_checkpoint(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_onnx_equals_torch_for_any_batch(exported, batch):
    net, path = exported
    torch.manual_seed(batch)
    points, valid = torch.randn(batch, 2, 16, 33), torch.rand(batch, 16, 33) > 0.3
    valid[0] = batch == 1  # a clip without anyone
    with torch.no_grad():
        expected = net(points, valid).logits
    got = torch.from_numpy(Recognizer(path, threads=1).logits(points.numpy(), valid.numpy()))
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
    assert expected.std() > 1e-3


def test_the_file_is_valid_alone_and_carries_its_card(exported):
    _, path = exported
    model = onnx.load(path, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]
    assert Recognizer(path).card == replace(CARD, embedding=24, opset=OPSET)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]


def test_the_batch_is_free_and_nothing_else(exported):
    graph = onnx.load(exported[1]).graph
    shapes = {
        end.name: [size.dim_param or size.dim_value for size in end.type.tensor_type.shape.dim]
        for end in (*graph.input, *graph.output)
    }
    assert shapes == {
        "points": ["batch", 2, 16, 33],
        "valid": ["batch", 16, 33],
        "logits": ["batch", 3],
        "embedding": ["batch", 24],
    }


def test_the_file_tells_nothing_of_the_machine(exported):
    content = exported[1].read_bytes()
    assert b".py" not in content
    assert str(Path(__file__).parents[2]).encode() not in content


def test_the_embedding_is_what_the_classifier_reads(exported):
    net, path = exported
    torch.manual_seed(0)
    points, valid = torch.randn(3, 2, 16, 33), torch.rand(3, 16, 33) > 0.3
    read: list[torch.Tensor] = []
    handle = net.backbone.classifier.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    with torch.no_grad():
        net(points, valid)
    handle.remove()
    clips = [(p.numpy(), v.numpy()) for p, v in zip(points.permute(0, 2, 3, 1), valid, strict=True)]
    recognizer = Recognizer(path, threads=1)
    # what the network is given, whatever preprocessing makes of it
    (got,) = recognizer._run(["embedding"], points.numpy(), valid.numpy())
    torch.testing.assert_close(torch.from_numpy(got), read[0], atol=1e-4, rtol=1e-4)
    assert got.std() > 1e-3
    assert [p.embedding is None for p in recognizer.predict_clips(clips)] == [True] * 3
    assert [p.embedding.shape for p in recognizer.predict_clips(clips, embedding=True)] == [(24,)] * 3


def test_exporting_leaves_the_network_as_it_was(tmp_path):
    net = trained_like().train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    export_onnx(net, CARD, tmp_path / "model.onnx")
    assert net.training
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_checkpoint_rebuilds_the_same_function(tmp_path):
    net = trained_like()
    save_checkpoint(tmp_path / "checkpoint.pt", net, CARD)
    again, card = load_checkpoint(tmp_path / "checkpoint.pt")
    x, valid = torch.randn(2, 2, 16, 33), torch.rand(2, 16, 33) > 0.3
    assert torch.equal(net(x, valid).logits, again(x, valid).logits)
    assert card == CARD


def test_checkpoints_that_are_not_ours_are_one_clear_error(tmp_path):
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(PiumrError, match="no file"):
        load_checkpoint(path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(PiumrError, match="cannot be read"):
        load_checkpoint(path)
    torch.save({"state_dict": {}}, path)
    with pytest.raises(PiumrError, match="but got another file"):
        load_checkpoint(path)
    torch.save(torch.nn.Linear(1, 1), path)  # a pickled object
    with pytest.raises(PiumrError, match="cannot be read"):
        load_checkpoint(path)


def test_weights_of_another_model_are_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, trained_like(), CARD)
    saved = torch.load(path, weights_only=True)
    saved["model"]["backbone_options"] = {"channels": (12, 16, 32), "depths": (1, 1, 1)}
    torch.save(saved, path)
    with pytest.raises(PiumrError, match="fit the model"):
        load_checkpoint(path)


@pytest.mark.parametrize("key", ["model", "weights"])
def test_an_incomplete_checkpoint_says_what_it_lacks(tmp_path, key):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, trained_like(), CARD)
    saved = torch.load(path, weights_only=True)
    del saved[key]
    torch.save(saved, path)
    with pytest.raises(PiumrError, match=f"got one that lacks '{key}'"):
        load_checkpoint(path)


def test_a_link_stays_a_link(tmp_path):
    layout = get_layout("coco-17")
    net = ActionNet(layout, 2, 2, ModelConfig("microgcn-nano", frames=8), tfam=False)
    (tmp_path / "link.onnx").symlink_to("model.onnx")
    export_onnx(net, ModelCard(("nod", "wave"), layout, 8, "image"), tmp_path / "link.onnx")
    assert (tmp_path / "link.onnx").is_symlink()
    assert Recognizer(tmp_path / "model.onnx").card.class_names == ("nod", "wave")

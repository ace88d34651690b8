import subprocess
import sys
from copy import deepcopy
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from piumr.errors import PiumrError
from piumr.export import export_onnx
from piumr.inference import ModelCard, Recognizer
from piumr.inference.model_card import METADATA_KEY
from piumr.inference.recognizer import BATCH
from piumr.layouts import get_layout
from piumr.model import ActionNet, ModelConfig
from piumr.preprocessing import image_points, normalise, resample
from pose_extract.schema import PoseSequence

LAYOUT = get_layout("mediapipe-33")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    config = ModelConfig(backbone_options={"channels": (12, 16, 24), "depths": (1, 1, 1)}, frames=16)
    net = ActionNet(LAYOUT, 3, 2, config, tfam=True).eval()
    torch.nn.init.normal_(net.backbone.classifier.weight)
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    card = ModelCard(("nod", "wave", "shrug"), LAYOUT, 16, "image", (0, 1, 1), ("head", "arms"))
    export_onnx(net, card, path)
    return net, path


def make_poses(frames=20, seed=0, layout=LAYOUT, missing=0.2):
    rng = np.random.default_rng(seed)
    landmarks = rng.uniform(0, 1, (frames, len(layout), 4)).astype(np.float32)
    valid = rng.random((frames, len(layout))) > missing
    landmarks[~valid] = np.nan
    meta = {
        "layout": layout.name,
        "joints": list(layout.joints),
        "edges": [list(e) for e in layout.edges],
        "width": 1080,
        "height": 1296,
    }
    world = np.full((frames, 33, 3), np.nan, np.float32)
    return PoseSequence(landmarks, world, valid, np.arange(frames) / 30, meta)


@pytest.mark.parametrize("frames", [1, 16, 90])
def test_predictions_are_the_networks_on_the_shared_preprocessing(model, frames):
    net, path = model
    poses = make_poses(frames)
    points, valid = resample(*normalise(*image_points(poses.landmarks, poses.valid, 1080, 1296), LAYOUT), 16)
    with torch.no_grad():
        logits = net(torch.from_numpy(points).permute(2, 0, 1)[None].contiguous(), torch.from_numpy(valid)[None]).logits
    prediction = Recognizer(path, threads=1).predict(poses)[0]
    np.testing.assert_allclose(prediction.probabilities, logits.softmax(1)[0], atol=1e-4)
    assert prediction.label == ("nod", "wave", "shrug")[int(logits.argmax())]
    assert prediction.coarse == ("head" if prediction.label == "nod" else "arms")


def test_a_batch_predicts_what_single_clips_do(model):
    recognizer = Recognizer(model[1], threads=1)
    poses = [make_poses(5 + i, seed=i) for i in range(70)]  # more than one batch
    together = recognizer.predict(poses)
    for one, clip in zip(together, poses, strict=True):
        np.testing.assert_allclose(one.probabilities, recognizer.predict(clip)[0].probabilities, atol=1e-5)


def test_the_place_of_the_person_in_the_image_does_not_matter(model):
    recognizer, poses = Recognizer(model[1], threads=1), make_poses()
    moved = PoseSequence(
        (poses.landmarks * [0.5, 0.5, 1, 1] + [0.2, 0.1, 0, 0]).astype(np.float32),
        poses.world,
        poses.valid,
        poses.timestamps,
        poses.meta,
    )
    a, b = recognizer.predict([poses, moved])
    np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-3)


def test_top_is_sorted_and_sums_to_one(model):
    prediction = Recognizer(model[1]).predict(make_poses())[0]
    top = prediction.top(5)
    assert [p for _, p in top] == sorted((p for _, p in top), reverse=True)
    assert sum(p for _, p in top) == pytest.approx(1)
    assert top[0][0] == prediction.label
    assert prediction.to_dict(2)["top"] == [{"label": n, "probability": round(p, 6)} for n, p in top[:2]]


def test_nobody_seen_is_no_prediction(model):
    prediction = Recognizer(model[1]).predict(make_poses(missing=1.1))[0]
    assert prediction.label is None
    assert prediction.top() == []
    assert not prediction.probabilities.any()


def test_another_layout_names_both(model):
    with pytest.raises(PiumrError, match=r"mediapipe-33 \(33 joints\).*kinect-20 \(20 joints\)"):
        Recognizer(model[1]).predict(make_poses(layout=get_layout("kinect-20")))


@pytest.mark.parametrize("poses", ["clip.npz", [None], [np.zeros((3, 33, 4), np.float32)]])
def test_what_is_no_pose_sequence_is_named(model, poses):
    with pytest.raises(PiumrError, match="`poses` to be a PoseSequence"):
        Recognizer(model[1], threads=1).predict(poses)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2"])
def test_threads_are_a_whole_number(model, threads):
    with pytest.raises(PiumrError, match="`threads`"):
        Recognizer(model[1], threads)


def test_a_layout_that_maps_is_mapped(model):
    """Body and hands for a model of the body: what it sees is the body."""
    recognizer = Recognizer(model[1], threads=1)
    poses = make_poses(layout=get_layout("mediapipe-75"))
    body = PoseSequence(
        poses.landmarks[:, :33],
        poses.world,
        poses.valid[:, :33],
        poses.timestamps,
        poses.meta | {"layout": LAYOUT.name, "joints": list(LAYOUT.joints), "edges": []},
    )
    mapped, direct = recognizer.predict([poses, body])
    np.testing.assert_array_equal(mapped.probabilities, direct.probabilities)


def test_a_model_of_published_skeletons_is_fed_from_the_extractor(tmp_path):
    layout, poses = get_layout("openpose-28"), make_poses(layout=get_layout("mediapipe-75"), missing=0)
    poses.landmarks[..., 3] = 1
    torch.manual_seed(0)
    config = ModelConfig(backbone_options={"channels": [12], "depths": [1], "strides": [2]}, frames=8)
    card = ModelCard(("nod", "wave"), layout, 8, "image")
    export_onnx(ActionNet(layout, 2, 2, config, tfam=False), card, tmp_path / "model.onnx")
    recognizer = Recognizer(tmp_path / "model.onnx")
    points, valid = recognizer.points_of(poses)
    assert points.shape == (20, 28, 2)
    assert valid.all()
    shoulders = points[:, [layout.joints.index(f"{side}_shoulder") for side in ("left", "right")]]
    np.testing.assert_allclose(points[:, layout.joints.index("neck")], shoulders.mean(axis=1), rtol=1e-6)
    assert recognizer.predict(poses)[0].label in ("nod", "wave")


def test_joints_are_found_by_name_in_poses_that_have_more(model):
    recognizer, wide = Recognizer(model[1], threads=1), make_poses(layout=get_layout("mediapipe-75"))
    order = np.random.default_rng(1).permutation(75)
    meta = wide.meta | {"layout": "mixed", "joints": [wide.meta["joints"][i] for i in order], "edges": []}
    mixed = PoseSequence(wide.landmarks[:, order], wide.world, wide.valid[:, order], wide.timestamps, meta)
    meta = wide.meta | {"layout": LAYOUT.name, "joints": list(LAYOUT.joints), "edges": []}
    body = PoseSequence(wide.landmarks[:, :33], wide.world, wide.valid[:, :33], wide.timestamps, meta)
    a, b, c = recognizer.predict([body, wide, mixed])
    assert np.array_equal(a.probabilities, b.probabilities)
    assert np.array_equal(a.probabilities, c.probabilities)


def test_files_that_are_no_model_of_ours_are_one_clear_error(tmp_path):
    with pytest.raises(PiumrError, match="no file"):
        Recognizer(tmp_path / "none.onnx")
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x00garbage")
    with pytest.raises(PiumrError, match="damaged or not one"):
        Recognizer(path)
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [value],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])],
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9), path)
    with pytest.raises(PiumrError, match="no PIUmr card"):
        Recognizer(path)


def test_a_truncated_model_is_refused(model, tmp_path):
    path = tmp_path / "half.onnx"
    path.write_bytes(model[1].read_bytes()[: model[1].stat().st_size // 2])
    with pytest.raises(PiumrError, match="damaged or not one"):
        Recognizer(path)


def test_inference_imports_neither_torch_nor_mediapipe_nor_scipy(model):
    code = (
        "import sys; from piumr import Recognizer; Recognizer(sys.argv[1]);"
        "print([m for m in ('torch', 'mediapipe', 'cv2', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(model[1])], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_package_imports_next_to_nothing():
    code = "import sys; import piumr; print('numpy' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def edited(path, out, edit):
    """A copy of a model after ``edit``."""
    model = onnx.load(path)
    edit(model)
    onnx.save(model, out)
    return out


@pytest.mark.parametrize(
    "change",
    [
        {"class_names": ("nod", "wave"), "coarse": None, "coarse_names": None},
        {"frames": 17},
        {"layout": get_layout("kinect-20")},
        {"coordinates": "metric"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_card_of_another_network_is_refused(model, tmp_path, change):
    card = replace(Recognizer(model[1]).card, **change)
    path = edited(
        model[1], tmp_path / "m.onnx", lambda m: onnx.helper.set_model_props(m, {METADATA_KEY: card.to_json()})
    )
    with pytest.raises(PiumrError, match="as the model's card says"):
        Recognizer(path)


def test_a_network_with_other_names_is_refused(model, tmp_path):
    def rename(network):
        for node in network.graph.node:
            node.output[:] = ["scores" if name == "logits" else name for name in node.output]
        network.graph.output[0].name = "scores"

    with pytest.raises(PiumrError, match=r"as the model's card says.*scores"):
        Recognizer(edited(model[1], tmp_path / "m.onnx", rename))


def test_what_fails_in_the_network_is_one_clear_error(model):
    recognizer = Recognizer(model[1])
    with pytest.raises(PiumrError, match=r"run on points \(1, 2, 5, 33\)"):
        recognizer.logits(np.zeros((1, 2, 5, 33), np.float32), np.ones((1, 5, 33), bool))


def test_logits_that_are_not_finite_are_no_prediction(model, tmp_path):
    net = deepcopy(model[0])
    torch.nn.init.constant_(net.backbone.classifier.weight, torch.nan)
    export_onnx(net, Recognizer(model[1]).card, tmp_path / "m.onnx")
    with pytest.raises(PiumrError, match="finite logits"):
        Recognizer(tmp_path / "m.onnx").predict(make_poses())


def test_another_normalisation_is_refused(model, tmp_path):
    card = replace(Recognizer(model[1]).card, normalisation="piumr-0: nothing at all", version="0.0.1")
    path = edited(
        model[1], tmp_path / "m.onnx", lambda m: onnx.helper.set_model_props(m, {METADATA_KEY: card.to_json()})
    )
    with pytest.raises(PiumrError, match=r"'piumr-1'.*'piumr-0'.*0\.0\.1"):
        Recognizer(path)


@pytest.mark.parametrize("text", ["", "null", "[" * 50_000, '{"format": 2}', "\x00", "nan", "9" * 10_000])
def test_a_hostile_card_is_one_clear_error(model, tmp_path, text):
    path = edited(model[1], tmp_path / "m.onnx", lambda m: onnx.helper.set_model_props(m, {METADATA_KEY: text}))
    with pytest.raises(PiumrError, match="model card"):
        Recognizer(path)


def test_torn_and_random_files_are_one_clear_error(model, tmp_path):
    whole, path = model[1].read_bytes(), tmp_path / "m.onnx"
    rng = np.random.default_rng(0)
    torn = [whole[: int(share * len(whole))] for share in (0, 0.001, 0.1, 0.5, 0.9, 0.999)]
    noise = [rng.bytes(size) for size in (1, 100, 100_000)]
    noise.append(whole[:1000] + rng.bytes(len(whole) - 1000))
    for content in (*torn, *noise):
        path.write_bytes(content)
        with pytest.raises(PiumrError, match="Expected"):
            Recognizer(path)
    with pytest.raises(PiumrError, match="no file"):
        Recognizer(tmp_path)


def test_a_network_of_other_types_is_refused(model, tmp_path):
    """Half precision, as a converter would make it."""

    def halve(network):
        network.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
        cast = onnx.helper.make_node("Cast", ["points"], ["full"], to=onnx.TensorProto.FLOAT)
        for node in network.graph.node:
            node.input[:] = ["full" if name == "points" else name for name in node.input]
        network.graph.node.insert(0, cast)

    with pytest.raises(PiumrError, match="float16"):
        Recognizer(edited(model[1], tmp_path / "m.onnx", halve))


def test_a_stream_takes_no_more_than_a_batch_ahead(model):
    recognizer, taken = Recognizer(model[1], threads=1), []

    def endless():
        while True:
            taken.append(len(taken))
            yield make_poses(5, seed=len(taken))

    stream = recognizer.stream(endless())
    first = [next(stream) for _ in range(3)]
    assert len(taken) == BATCH
    for i, prediction in enumerate(first):
        alone = recognizer.predict(make_poses(5, seed=i + 1))[0]
        np.testing.assert_allclose(prediction.probabilities, alone.probabilities, atol=1e-5)


def test_the_embedding_comes_when_it_is_asked_for(model):
    recognizer = Recognizer(model[1], threads=1)
    poses = [make_poses(), make_poses(missing=1.1)]
    assert [p.embedding for p in recognizer.predict(poses)] == [None, None]
    seen, nobody = recognizer.predict(poses, embedding=True)
    assert seen.embedding.shape == (recognizer.card.embedding,) == (24,)
    np.testing.assert_array_equal(nobody.embedding, np.zeros(24))  # of one shape, so that they can be stacked
    points, valid = (torch.from_numpy(a)[None] for a in recognizer._prepare(*recognizer.points_of(poses[0])))
    with torch.no_grad():
        expected = model[0](points.permute(0, 3, 1, 2), valid)
    np.testing.assert_allclose(seen.embedding, expected.embedding[0], atol=1e-5)
    np.testing.assert_allclose(expected.logits[0].softmax(0), seen.probabilities, atol=1e-5)


def test_batches_are_as_small_as_large_clips_need(model, monkeypatch):
    monkeypatch.setattr("piumr.inference.recognizer.MAX_BATCH_POINTS", 2 * 16 * 33)
    recognizer, sizes = Recognizer(model[1], threads=1), []
    run = recognizer._run
    monkeypatch.setattr(recognizer, "_run", lambda names, x, v: sizes.append(len(x)) or run(names, x, v))
    assert len(recognizer.predict([make_poses(5, seed=i) for i in range(5)])) == 5
    assert sizes == [2, 2, 1]

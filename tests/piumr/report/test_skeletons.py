"""Which clips are played, and that their skeletons are the ones the model saw."""

import base64
from dataclasses import replace

import numpy as np
import pytest
import torch

from piumr.data.clips import SkeletonSet
from piumr.data.declaration import load_declaration
from piumr.data.formats import read_set
from piumr.layouts import get_layout
from piumr.report import skeletons as module
from piumr.report.skeletons import STEPS, choose_errors, choose_typical, front_view, quantise, skeletons


def decode(clip, joints):
    """Points in units of the box's longer side, and what was seen."""
    steps = np.frombuffer(base64.b64decode(clip["points"]), dtype="<u2").reshape(-1, joints, 2)
    bits = np.frombuffer(base64.b64decode(clip["seen"]), dtype=np.uint8)
    seen = np.unpackbits(bits, bitorder="little")[: steps.shape[0] * joints].reshape(-1, joints)
    return steps / STEPS, seen.astype(bool)


def test_skeletons_are_what_the_model_saw(toy_set, evaluation_of):
    evaluation = evaluation_of(toy_set)
    found = skeletons(evaluation)
    assert found["wrong"] == int((evaluation.probabilities.argmax(1).numpy() != toy_set.labels).sum())
    for clip in found["played"]:
        row = toy_set.names.index(clip["name"])
        points, mask = evaluation.store.evaluation([row])
        points, mask = points[0].permute(1, 2, 0).numpy(), mask[0].numpy()
        decoded, seen = decode(clip, 33)
        np.testing.assert_array_equal(seen, mask)
        span = np.ptp(points[mask], axis=0).max()
        shown = decoded[mask] * span
        np.testing.assert_allclose(shown, points[mask] - points[mask].min(axis=0), atol=span / STEPS)
        assert clip["box"] == pytest.approx(np.ptp(points[mask], axis=0) / span, abs=1e-3)
        assert clip["seconds"] == pytest.approx(np.diff(toy_set.offsets)[row] / 30, abs=1e-3)
        assert clip["person"] == toy_set.persons[row]
        assert clip["label"] == toy_set.labels[row]
        assert clip["top"][0][0] == int(evaluation.probabilities[row].argmax())


def test_of_classes_of_the_same_score_the_first_is_named_first(toy_set, evaluation_of):
    names = tuple(f"class {i}" for i in range(20))
    evaluation = evaluation_of(toy_set, class_names=names, coarse=None, coarse_names=None)
    level = replace(evaluation, probabilities=torch.full_like(evaluation.probabilities, 1 / 20))
    for clip in skeletons(level)["played"]:
        assert clip["top"] == [[0, 0.05], [1, 0.05], [2, 0.05]]


def test_a_joint_that_is_lost_for_a_moment_does_not_shrink_the_person():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 1, (60, 10, 2)).astype(np.float32)
    points[30, 3] = 50
    clip = quantise(points, np.ones((60, 10), dtype=bool))
    decoded, _ = decode(clip, 10)
    assert np.ptp(decoded[:30], axis=(0, 1)).min() > 0.6
    still = quantise(np.zeros((4, 3, 2), dtype=np.float32), np.zeros((4, 3), dtype=bool))
    assert (decode(still, 3)[0] == 0).all()


def test_errors_are_the_most_confident_and_differ(toy_set, evaluation_of):
    evaluation = evaluation_of(toy_set)
    confidence, predicted = (values.numpy() for values in evaluation.probabilities.max(1))
    wrong = [i for i in np.argsort(-confidence) if predicted[i] != toy_set.labels[i]]
    pairs = [(toy_set.labels[i], predicted[i]) for i in wrong]
    kinds = len(set(pairs))
    assert kinds > 2
    assert max(map(pairs.count, pairs)) > 3
    for limit, same in ((3, 2), (2 * kinds, 2), (2 * kinds + 1, 3), (1000, -(-1000 // kinds))):
        expected = [i for place, i in enumerate(wrong) if pairs[:place].count(pairs[place]) < same][:limit]
        assert choose_errors(evaluation, limit) == (expected, same)
    perfect = replace(evaluation, probabilities=torch.nn.functional.one_hot(torch.from_numpy(toy_set.labels)).float())
    assert choose_errors(perfect, 10)[0] == []


def test_typical_is_the_recognised_clip_nearest_to_the_median_confidence(toy_set, evaluation_of):
    evaluation = evaluation_of(toy_set)
    probabilities = evaluation.probabilities.numpy()
    for c, row in choose_typical(evaluation, [], 10).items():
        right = [i for i in range(48) if toy_set.labels[i] == c == probabilities[i].argmax()]
        median = np.median([probabilities[i, c] for i in right])
        assert row == min(right, key=lambda i: abs(probabilities[i, c] - median))
    never = evaluation.probabilities.clone()
    never[:, 2] *= 1e-3  # no clip is taken for the last class
    row = choose_typical(replace(evaluation, probabilities=never), [], 10)[2]
    assert row == max(np.flatnonzero(toy_set.labels == 2), key=lambda i: never[i, 2])


def test_of_many_classes_those_in_the_errors_come_first_and_then_the_worst(toy_set, evaluation_of):
    evaluation = evaluation_of(toy_set)
    worst = int(np.argmin(evaluation.classes.f1))
    assert list(choose_typical(evaluation, [], 1)) == [worst]
    error = next(i for i in choose_errors(evaluation, 10)[0] if toy_set.labels[i] != worst)
    assert int(toy_set.labels[error]) in choose_typical(evaluation, [error], 1)


def test_the_page_stays_small(toy_set, evaluation_of, monkeypatch):
    evaluation = evaluation_of(toy_set, frames=200)
    found = skeletons(evaluation)
    assert found["played"][0]["frames"] == module.FRAMES
    assert found["modelFrames"] == 200
    monkeypatch.setattr(module, "BUDGET", 5 * module.FRAMES * 33 * 4)
    found = skeletons(evaluation)
    assert 2 <= len(found["played"]) <= 5
    assert sum(len(base64.b64decode(clip["points"])) for clip in found["played"]) <= module.BUDGET


def test_images_stay_as_they_are():
    points = np.random.default_rng(0).normal(size=(2, 3, 33, 2)).astype(np.float32)
    assert front_view(points, np.ones((2, 3, 33), bool), get_layout("mediapipe-33")) is points


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (1, -1, 1)])
def test_persons_in_space_stand_upright_and_face_the_viewer(axes, signs):
    layout = get_layout("kinect-20")
    across = np.array([("left" in n) * 1.0 - ("right" in n) for n in layout.joints])
    up = np.array([2.0 if part == "head" else -2.0 if "leg" in part else 0.5 for part in layout.parts])
    person = np.stack([across, up, np.zeros(20)], axis=-1)
    turned = (person[:, axes] * signs)[None, None].astype(np.float32)
    view = front_view(turned, np.ones((1, 1, 20), dtype=bool), layout)[0, 0]
    np.testing.assert_allclose(view, np.stack([across, -up], axis=-1))  # the page's second axis goes down


@pytest.mark.slow
def test_heads_of_real_kinect_persons_are_above_their_feet(shared_data):
    clips: SkeletonSet = read_set(load_declaration("utd_mhad"), shared_data / "skeletons" / "utd_mhad")
    points, valid = clips.clip(0)
    view = front_view(points[None], valid[None], clips.layout)[0].mean(axis=0)
    place = {name: view[i] for i, name in enumerate(clips.layout.joints)}
    assert place["head"][1] < place["hip_center"][1] < place["left_ankle"][1]
    assert place["left_shoulder"][0] > place["right_shoulder"][0]

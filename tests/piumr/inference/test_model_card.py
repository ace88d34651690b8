import json

import pytest

from piumr.errors import PiumrError
from piumr.inference import ModelCard
from piumr.layouts import get_layout

CARD = ModelCard(("nod", "wave", "shrug"), get_layout("kinect-20"), 16, "metric", (0, 1, 1), ("head", "arms"))


def test_a_card_survives_json():
    assert ModelCard.from_json(CARD.to_json()) == CARD


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 1),
        ("format", True),
        ("frames", 0),
        ("frames", 4097),
        ("frames", float("inf")),
        ("frames", 10**400),
        ("frames", 16.5),
        ("frames", "16"),
        ("frames", True),
        ("frames", None),
        ("coordinates", "polar"),
        ("coordinates", []),
        ("class_names", "nod"),
        ("class_names", []),
        ("class_names", ["nod", "nod", "wave"]),
        ("class_names", ["nod", "", "wave"]),
        ("class_names", ["nod", 1, "wave"]),
        ("coarse", [0, 1]),
        ("coarse", [0, 1, 2]),
        ("coarse", [0, -1, 1]),
        ("coarse", None),
        ("coarse", []),
        ("coarse_names", None),
        ("coarse_names", "ab"),
        ("embedding", -1),
        ("embedding", None),
        ("opset", "18"),
        ("notice", None),
        ("licence", ["mine"]),
        ("trained_on", 3),
        ("normalisation", {}),
        ("version", None),
        ("summary", "good"),
        ("layout", {}),
    ],
)
def test_wrong_cards_are_one_clear_error(key, value):
    with pytest.raises(PiumrError, match="Expected"):
        ModelCard.from_dict(CARD.to_dict() | {key: value})


def test_an_incomplete_card_says_what_it_lacks():
    card = CARD.to_dict()
    del card["frames"]
    with pytest.raises(PiumrError, match="lacks 'frames'"):
        ModelCard.from_dict(card)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "[" * 100_000,
        '{"format": ' + "9" * 5000 + "}",
        '{"format": 2, "frames": 1e999}',
        json.dumps(CARD.to_dict()).replace('"frames": 16', '"frames": 1e999'),
    ],
    ids=["torn", "list", "deep", "long number", "incomplete", "infinite"],
)
def test_texts_that_are_no_card_are_one_clear_error(text):
    with pytest.raises(PiumrError, match="Expected"):
        ModelCard.from_json(text)


def test_a_card_of_deep_nesting_is_one_clear_error():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for key in ("format", "version", "summary", "frames"):
        with pytest.raises(PiumrError, match="Expected"):
            ModelCard.from_dict(CARD.to_dict() | {key: deep})

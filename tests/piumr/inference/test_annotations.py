"""Each format is read back by somebody else's reader, or held against its grammar."""

import csv
import json
import re
from urllib.parse import unquote, urlparse
from xml.etree import ElementTree

import pytest

from piumr.errors import PiumrError
from piumr.inference.annotations import write_segments
from piumr.inference.segments import Segment

NASTY = 'touching <b>"hair"</b> & ear, left --> right\n\x07ÿ'
SEGMENTS = [
    Segment(0.0, 1.25, "nodding", 0.9),
    Segment(1.25, 2.0004, NASTY, 0.555),
    Segment(3661.5, 3662.0, "nodding", 0.7),
]


def written(tmp_path, suffix, segments=SEGMENTS, media=None):
    path = tmp_path / f"found{suffix}"
    write_segments(path, segments, media)
    return path


def test_csv_is_read_by_the_csv_module(tmp_path):
    with written(tmp_path, ".csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["action"] for row in rows] == [s.action for s in SEGMENTS]
    assert [float(row["start"]) for row in rows] == pytest.approx([s.start for s in SEGMENTS], abs=1e-3)
    assert [float(row["end"]) for row in rows] == pytest.approx([s.end for s in SEGMENTS], abs=1e-3)
    assert [float(row["confidence"]) for row in rows] == pytest.approx([0.9, 0.555, 0.7])


def test_json_lines_are_read_line_by_line(tmp_path):
    lines = written(tmp_path, ".jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["action"] for line in lines] == [s.action for s in SEGMENTS]
    assert json.loads(lines[0]) == {"start": 0.0, "end": 1.25, "action": "nodding", "confidence": 0.9}


def test_web_vtt_keeps_to_its_grammar(tmp_path):
    text = written(tmp_path, ".vtt").read_text("utf-8")
    blocks = text.rstrip("\n").split("\n\n")
    assert blocks[0] == "WEBVTT"
    assert len(blocks) == 4
    for block in blocks[1:]:
        timing, payload = block.split("\n")
        assert re.fullmatch(r"\d{2,}:[0-5]\d:[0-5]\d\.\d{3} --> \d{2,}:[0-5]\d:[0-5]\d\.\d{3}", timing)
        assert not re.search(r"<|>|&(?!amp;|lt;|gt;)", payload)
    assert blocks[3] == "01:01:01.500 --> 01:01:02.000\nnodding (70%)"


def check_eaf(root):
    """What the EAF 3.0 schema and ELAN ask for: order, references, constraints."""
    order = [child.tag for child in root]
    wanted = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "CONSTRAINT"]
    assert sorted(order, key=wanted.index) == order
    assert set(order) == set(wanted)
    assert {"AUTHOR", "DATE", "VERSION"} <= set(root.attrib)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", root.get("DATE"))
    assert root.find("HEADER").get("TIME_UNITS") == "milliseconds"
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")}
    assert len(slots) == len(list(root.iter("TIME_SLOT")))
    assert list(slots.values()) == sorted(slots.values())
    types = {kind.get("LINGUISTIC_TYPE_ID"): kind for kind in root.iter("LINGUISTIC_TYPE")}
    stereotypes = {c.get("STEREOTYPE") for c in root.iter("CONSTRAINT")}
    assert stereotypes == {"Time_Subdivision", "Symbolic_Subdivision", "Symbolic_Association", "Included_In"}
    tiers = {tier.get("TIER_ID"): tier for tier in root.iter("TIER")}
    assert all(tier.get("LINGUISTIC_TYPE_REF") in types for tier in tiers.values())
    assert all(kind.get("CONSTRAINTS", "Included_In") in stereotypes for kind in types.values())
    ids = [a.get("ANNOTATION_ID") for a in root.iter() if a.get("ANNOTATION_ID")]
    assert len(set(ids)) == len(ids)
    assert int(root.find("HEADER/PROPERTY[@NAME='lastUsedAnnotationId']").text) == len(ids)
    found, before = [], 0
    for annotation in tiers["action"].iter("ALIGNABLE_ANNOTATION"):
        low, high = slots[annotation.get("TIME_SLOT_REF1")], slots[annotation.get("TIME_SLOT_REF2")]
        assert before <= low < high
        before = high
        found.append((low, high, annotation.get("ANNOTATION_ID"), annotation.findtext("ANNOTATION_VALUE")))
    assert tiers["confidence"].get("PARENT_REF") == "action"
    values = {
        r.get("ANNOTATION_REF"): r.findtext("ANNOTATION_VALUE") for r in tiers["confidence"].iter("REF_ANNOTATION")
    }
    assert list(values) == [own for _, _, own, _ in found]
    return [(low, high, text, values[own]) for low, high, own, text in found]


def test_eaf_has_the_structure_that_elan_reads(tmp_path):
    media = tmp_path / "films" / "inter view.mp4"
    root = ElementTree.parse(written(tmp_path, ".eaf", media=media)).getroot()
    found = check_eaf(root)
    assert found[0] == (0, 1250, "nodding", "0.90")
    assert found[1] == (1250, 2000, NASTY.replace("\x07", "?"), "0.56")
    descriptor = root.find("HEADER/MEDIA_DESCRIPTOR")
    assert unquote(urlparse(descriptor.get("MEDIA_URL")).path) == str(media)
    assert descriptor.get("RELATIVE_MEDIA_URL") == "./films/inter view.mp4"
    assert descriptor.get("MIME_TYPE") == "video/mp4"


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".eaf", ".vtt"])
def test_no_segment_is_a_valid_file(tmp_path, suffix):
    path = written(tmp_path, suffix, [])
    if suffix == ".eaf":
        assert check_eaf(ElementTree.parse(path).getroot()) == []
    elif suffix == ".vtt":
        assert path.read_text() == "WEBVTT\n"
    else:
        assert path.read_text() == ("start,end,action,confidence\n" if suffix == ".csv" else "")


def test_a_segment_shorter_than_a_millisecond_stays_one(tmp_path):
    path = written(tmp_path, ".eaf", [Segment(1.0, 1.0001, "nod", 1.0)])
    assert check_eaf(ElementTree.parse(path).getroot())[0][:2] == (1000, 1001)


def test_another_suffix_names_those_there_are(tmp_path):
    with pytest.raises(PiumrError, match=r"`segments` to end in \.csv, \.jsonl, \.eaf or \.vtt.*found\.txt"):
        written(tmp_path, ".txt")
    assert list(tmp_path.iterdir()) == []

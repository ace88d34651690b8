"""``piumr-infer`` and what it may write: an output never costs a model, a source or an earlier result."""

import json
import os
import shutil
import signal
import tracemalloc
from importlib import import_module

import av
import numpy as np
import onnx
import pytest
import torch

from piumr.checkpoint import save_checkpoint
from piumr.commands.console import run_command
from piumr.export import export_onnx
from piumr.inference import ModelCard, Recognizer
from piumr.inference.model_card import METADATA_KEY
from piumr.inference.windows import chunks_of, slide
from piumr.layouts import get_layout
from piumr.model import ActionNet, ModelConfig
from pose_extract.schema import PoseSequence, read_poses, write_poses

LAYOUT = get_layout("mediapipe-33")
INFER = import_module("piumr.commands.infer")  # its package has a function of that name


def run(command, *arguments):
    """Exit code of a command, in this process."""
    with pytest.raises(SystemExit) as left:
        run_command(f"piumr-{command}", f"piumr.commands.{command}", command, [os.fspath(a) for a in arguments])
    return left.value.code


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder of an untrained network."""
    torch.manual_seed(0)
    config = ModelConfig(backbone_options={"channels": [12], "depths": [1], "strides": [2]}, frames=8)
    net = ActionNet(LAYOUT, 2, 2, config, tfam=False)
    card = ModelCard(("nod", "wave"), LAYOUT, 8, "image")
    folder = tmp_path_factory.mktemp("run")
    save_checkpoint(folder / "checkpoint.pt", net, card)
    export_onnx(net, card, folder / "model.onnx")
    return folder


@pytest.fixture
def clip(tmp_path):
    landmarks = np.random.default_rng(0).uniform(0.2, 0.8, (10, 33, 4)).astype(np.float32)
    landmarks[..., 3] = 1
    meta = {"layout": LAYOUT.name, "joints": list(LAYOUT.joints), "edges": [list(e) for e in LAYOUT.edges]}
    meta |= {"width": 640, "height": 480}
    path = tmp_path / "clip.npz"
    world = np.zeros((10, 33, 3), np.float32)
    write_poses(path, PoseSequence(landmarks, world, np.ones((10, 33), bool), np.arange(10) / 30, meta))
    return path


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("victim", ["model.onnx", "clip.npz"])
def test_out_never_replaces_what_is_read(trained, clip, capfd, victim, linked):
    model = clip.with_name("model.onnx")
    model.write_bytes((trained / "model.onnx").read_bytes())
    target = clip.with_name(victim)
    before = target.read_bytes()
    out = target
    if linked:
        out = clip.with_name("link")
        out.symlink_to(target)
    assert run("infer", model, clip.parent, "--out", out) == 2
    assert "choose another name" in capfd.readouterr().err
    assert target.read_bytes() == before


@pytest.mark.parametrize("out", ["folder", "missing/lines.jsonl"])
def test_an_out_that_cannot_be_written_is_refused_before_anything_runs(trained, clip, capfd, out):
    clip.with_name("folder").mkdir()
    clip.write_bytes(b"torn")  # would be reported, if it were read
    assert run("infer", trained / "model.onnx", clip, "--out", clip.parent / out) == 2
    printed = capfd.readouterr().err
    assert printed.count("\n") == 1
    assert "`out`" in printed
    assert not clip.with_name("missing").exists()


def test_an_earlier_result_stays_until_the_run_has_finished(trained, clip, monkeypatch):
    out = clip.with_name("lines.jsonl")
    out.write_text("earlier\n")

    def interrupted(path):
        assert out.read_text() == "earlier\n"
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(INFER, "read_poses", interrupted)
        assert run("infer", trained / "model.onnx", clip, "--out", out) == 130
    assert out.read_text() == "earlier\n"
    assert run("infer", trained / "model.onnx", clip, "--out", out) == 0
    assert json.loads(out.read_text())["frames"] == 10
    assert sorted(path.name for path in clip.parent.iterdir()) == ["clip.npz", "lines.jsonl"]


@pytest.mark.parametrize("options", [(), ("--segments", "x.csv"), ("--realtime",)])
def test_a_model_of_other_skeletons_refuses_a_video_before_it_is_estimated(tmp_path, capfd, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    layout = get_layout("kinect-20")
    net = ActionNet(layout, 2, 3, ModelConfig("microgcn-nano", frames=8), tfam=False)
    export_onnx(net, ModelCard(("nod", "wave"), layout, 8, "metric"), tmp_path / "model.onnx")
    (tmp_path / "a.mp4").write_text("no video, which nobody gets to see")
    assert run("infer", tmp_path / "model.onnx", tmp_path / "a.mp4", *options) == (2 if "--realtime" in options else 1)
    assert "takes metric skeletons" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_done_is_kept_when_a_signal_ends_the_run(trained, clip, monkeypatch, request, capfd, number):
    second, out = clip.with_name("second.npz"), clip.with_name("lines.jsonl")
    shutil.copy(clip, second)
    # as in a terminal: where the tests run in the background, it is ignored
    before = signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    request.addfinalizer(lambda: signal.signal(number, before))

    def ended(path):
        if path == second:
            os.kill(os.getpid(), number)
        return read_poses(path)

    monkeypatch.setattr(INFER, "read_poses", ended)
    assert run("infer", trained / "model.onnx", clip, second, "--out", out) == 130
    assert [json.loads(line)["source"] for line in out.with_name("lines.jsonl.partial").open()] == [str(clip)]
    assert "lines.jsonl.partial" in capfd.readouterr().err
    assert not out.exists()
    monkeypatch.undo()
    assert run("infer", trained / "model.onnx", clip, second, "--out", out) == 0
    assert sorted(path.name for path in clip.parent.iterdir()) == ["clip.npz", "lines.jsonl", "second.npz"]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (("--format", "eaf"), "format"),
        (("--segments", "x.csv", "--format", "eaf"), "format"),
        (("--segments", "x.csv", "--top", "3"), "top"),
    ],
)
def test_options_without_effect_are_refused(trained, clip, capfd, monkeypatch, options, name):
    monkeypatch.chdir(clip.parent)
    assert run("infer", trained / "model.onnx", clip, *options) == 2
    assert f"`{name}`" in capfd.readouterr().err
    assert [path.name for path in clip.parent.iterdir()] == ["clip.npz"]


@pytest.mark.parametrize("threads", ["0", "-1", str((os.cpu_count() or 1) + 1)])
def test_threads_are_as_many_as_processors_at_most(trained, clip, capfd, threads):
    assert run("infer", trained / "model.onnx", clip, f"--threads={threads}") == 2
    assert "`threads`" in capfd.readouterr().err


def test_a_cache_may_have_an_upper_case_suffix(trained, clip, capfd):
    upper = clip.rename(clip.with_name("CLIP.NPZ"))
    assert run("infer", trained / "model.onnx", upper.parent) == 0
    assert json.loads(capfd.readouterr().out)["source"] == str(upper)


def test_names_that_are_no_text_end_in_no_traceback(trained, clip, capfd):
    strange = clip.rename(clip.with_name(os.fsdecode(b"caf\xe9.npz")))
    for name in (b"video\xe9.mp4", b"torn\xe9\n.npz"):
        strange.with_name(os.fsdecode(name)).write_bytes(b"\0")
    assert run("infer", trained / "model.onnx", strange.parent) == 1
    printed = capfd.readouterr()
    assert json.loads(printed.out)["source"] == f"{strange.parent}/caf?.npz"
    errors = printed.err.splitlines()
    assert len(errors) == 3  # one a file, and the count
    assert any("video?.mp4" in line and "it is not a video" in line for line in errors)
    assert any("torn??.npz" in line for line in errors)


def test_export_refuses_an_out_before_it_starts(trained, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("torch.onnx.export", lambda *_, **__: pytest.fail("the export started"))
    before = (trained / "checkpoint.pt").read_bytes()
    for out in (tmp_path, tmp_path / "missing" / "model.onnx", trained / "checkpoint.pt"):
        assert run("export", trained, "--out", out) == 2
        assert "`out`" in capfd.readouterr().err
    assert (trained / "checkpoint.pt").read_bytes() == before
    assert not (tmp_path / "missing").exists()


def write_long(path, seconds, seen=lambda t: t >= 0, layout=LAYOUT):
    """A recording at 30 fps in which somebody is there while ``seen``."""
    times = np.arange(int(seconds * 30)) / 30
    landmarks = np.random.default_rng(0).uniform(0.2, 0.8, (1, len(layout), 4)).astype(np.float32)
    landmarks = np.repeat(landmarks, len(times), axis=0)
    landmarks[..., 3] = 1
    valid = np.repeat(seen(times)[:, None], len(layout), axis=1)
    landmarks[~valid] = np.nan
    meta = {"layout": layout.name, "joints": list(layout.joints), "edges": [list(e) for e in layout.edges]}
    meta |= {"width": 640, "height": 480}
    world = np.zeros((len(times), 33 if layout is LAYOUT else 0, 3), np.float32)
    write_poses(path, PoseSequence(landmarks, world, valid, times, meta))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".eaf", ".vtt"])
def test_segments_are_written_in_the_format_of_the_suffix(trained, tmp_path, capfd, suffix):
    source = write_long(tmp_path / "long.npz", 12, lambda t: (t < 4) | (t > 8))
    target = tmp_path / f"found{suffix}"
    assert run("infer", trained / "model.onnx", source, "--segments", target, "--threshold", "0", "--window", "1") == 0
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "2 segments of 1 actions in 12.0 s" in printed.err
    text = target.read_text()
    assert text.count("nod") + text.count("wave") == 2
    assert text.startswith({".csv": "start,", ".jsonl": "{", ".eaf": "<?xml", ".vtt": "WEBVTT"}[suffix])


def test_segments_of_a_recording_with_empty_stretches_are_where_somebody_is(trained, tmp_path):
    source = write_long(tmp_path / "long.npz", 12, lambda t: (t < 4) | (t > 8))
    target = tmp_path / "found.jsonl"
    options = ["--threshold=0", "--window=1", "--stride=0.1"]
    assert run("infer", trained / "model.onnx", source, "--segments", target, *options) == 0
    edges = [value for line in target.read_text().splitlines() for value in list(json.loads(line).values())[:2]]
    assert edges == pytest.approx([0, 4, 8, 12], abs=0.11)


def test_several_sources_go_to_a_folder_and_a_bad_one_stops_none(trained, tmp_path, capfd):
    poses = tmp_path / "poses"
    (poses / "anna").mkdir(parents=True)
    write_long(poses / "anna" / "one.npz", 3)
    write_long(poses / "empty.npz", 3, lambda t: t < 0)
    write_long(poses / "other.npz", 3, layout=get_layout("kinect-20"))
    (poses / "torn.npz").write_bytes(b"torn")
    folder = tmp_path / "found"
    options = ["--segments", folder, "--format", "vtt", "--threshold", "0"]
    assert run("infer", trained / "model.onnx", poses, *options) == 1
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*.*")) == ["anna/one.vtt", "empty.vtt"]
    assert (folder / "empty.vtt").read_text() == "WEBVTT\n"
    printed = capfd.readouterr().err
    assert "empty.npz: no person was seen" in printed
    assert "kinect-20 (20 joints)" in printed
    assert "torn.npz" in printed
    assert "2 of 4 sources failed." in printed


def test_sources_of_one_stem_keep_their_suffix(trained, tmp_path):
    (tmp_path / "a").mkdir()
    write_long(tmp_path / "a" / "x.npz", 1)
    write_long(tmp_path / "x.npz", 1)
    sources = [tmp_path / "a" / "x.npz", tmp_path / "x.npz"]
    assert run("infer", trained / "model.onnx", *sources, "--segments", tmp_path / "found") == 2
    (tmp_path / "x.npz").rename(tmp_path / "x.NPZ")
    sources[1] = tmp_path / "x.NPZ"
    assert run("infer", trained / "model.onnx", *sources, "--segments", tmp_path / "found") == 0
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == ["x.NPZ.csv", "x.npz.csv"]


def test_annotations_that_elan_saved_are_never_written_over(trained, clip, capfd):
    target = clip.with_name("clip.eaf")
    for options in (["--segments", target], ["--segments", clip.parent, "--format", "eaf"]):
        target.unlink(missing_ok=True)
        for _ in range(2):  # one's own result is made again
            assert run("infer", trained / "model.onnx", clip, *options) == 0
        written = target.read_text()
        for saved in (
            written.replace("</HEADER>", '<PROPERTY NAME="URN">urn:nl-mpi-tools-elan-eaf:1</PROPERTY></HEADER>'),
            written.replace('AUTHOR="piumr-infer"', 'AUTHOR="anna"'),
        ):
            target.write_text(saved)
            capfd.readouterr()
            assert run("infer", trained / "model.onnx", clip, *options) == 2
            assert "saved by ELAN" in capfd.readouterr().err
            assert target.read_text() == saved


def test_a_notice_is_a_line_of_text_and_no_json_line(trained, clip, capfd):
    model = clip.with_name("noticed.onnx")
    stored = onnx.load(trained / "model.onnx")
    (entry,) = (entry for entry in stored.metadata_props if entry.key == METADATA_KEY)
    entry.value = json.dumps(json.loads(entry.value) | {"notice": "It knows\nnothing.\x1b[2J"})
    onnx.save(stored, model)
    assert run("infer", model, clip) == 0
    printed = capfd.readouterr()
    assert [json.loads(line)["frames"] for line in printed.out.splitlines()] == [10]
    assert printed.err == "It knows nothing.?[2J\n"


def test_a_result_that_cannot_be_written_stops_no_other(trained, tmp_path, capfd):
    sources = [write_long(tmp_path / name, 1) for name in ("a.npz", "b.npz")]
    (tmp_path / "found" / "a.csv").mkdir(parents=True)
    assert run("infer", trained / "model.onnx", *sources, "--segments", tmp_path / "found") == 1
    assert "a.npz: " in capfd.readouterr().err
    assert (tmp_path / "found" / "b.csv").is_file()


def test_live_refuses_one_file_for_two_results(trained, clip, capfd):
    video, both = clip.with_name("x.mp4"), clip.with_name("both.mp4")
    video.write_bytes(b"is not opened")
    assert run("infer", trained / "model.onnx", video, "--realtime", "--out", both, "--overlay", both) == 2
    assert "two files" in capfd.readouterr().err


def test_a_threshold_that_nothing_reaches_says_so(trained, clip, tmp_path, capfd):
    assert run("infer", trained / "model.onnx", clip, "--segments", tmp_path / "a.csv", "--threshold", "1") == 0
    assert "highest confidence is 0." in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--segments", "{}/found.txt"], r"`segments`"),
        (["--segments", "{}/clip.npz"], "`segments`"),
        (["--segments", "{}/a.csv", "--out", "{}/b.jsonl"], "`segments`"),
        (["--segments", "{}/a.csv", "--window", "-1"], "`window`"),
        (["--segments", "{}/a.csv", "--stride", "9"], "`stride`"),
        (["--segments", "{}/a.csv", "--threshold", "2"], "`threshold`"),
        (["--segments", "{}/a.csv", "--realtime"], "`segments`"),
        (["--segments", "/proc/a.csv"], "`segments`"),
        (["--segments", "{}/missing/a.csv"], "`segments`"),
        (["--segments", "/proc/found"], "`segments`"),
        (["--window", "1"], "`window`"),
        (["--stride", "1"], "`stride`"),
        (["--threshold", "0.5"], "`threshold`"),
        (["--overlay", "{}/a.mp4"], "`overlay`"),
        (["--realtime"], "`realtime`"),
        (["--camera", "0"], "`camera`"),
    ],
)
def test_options_that_make_no_sense_are_one_line(trained, clip, capfd, options, named):
    options = [option.replace("{}", str(clip.parent)) for option in options]
    assert run("infer", trained / "model.onnx", clip, *options) == 2
    printed = capfd.readouterr().err
    assert printed.count("\n") == 1
    assert named in printed
    assert sorted(path.name for path in clip.parent.iterdir()) == ["clip.npz"]


def test_no_source_is_one_line(trained, capfd):
    assert run("infer", trained / "model.onnx") == 2
    assert "`sources`" in capfd.readouterr().err


@pytest.mark.slow
def test_an_hour_takes_no_more_memory_than_its_poses(trained, tmp_path):
    hour = read_poses(write_long(tmp_path / "hour.npz", 3600))
    recognizer = Recognizer(trained / "model.onnx", threads=1)
    peaks = []
    for frames in (3600, len(hour)):
        poses = next(chunks_of(hour, frames))
        tracemalloc.start()
        timeline = slide(recognizer, poses, 2.0, 2.0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(timeline) == 1800
    assert peaks[1] < 1.1 * peaks[0] + 1e6


def write_black(path):
    """A second of nobody."""
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(30):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((240, 320, 3), np.uint8), format="rgb24")))
        film.mux(stream.encode(None))


@pytest.mark.slow
def test_videos_without_people_and_broken_ones_stop_no_other(trained, shared_data, tmp_path, capfd):
    films = tmp_path / "films"
    films.mkdir()
    write_black(films / "nobody.mp4")
    (films / "broken.mp4").write_bytes(b"\0" * 100)
    shutil.copy(shared_data / "videos" / "asl_gestures" / "intel_asl_yes.mkv", films / "yes.mkv")
    assert run("infer", trained / "model.onnx", films) == 1
    printed = capfd.readouterr()
    records = {record["source"]: record for record in map(json.loads, printed.out.splitlines())}
    assert records[str(films / "nobody.mp4")]["label"] is None
    assert records[str(films / "yes.mkv")]["label"] in ("nod", "wave")
    assert "nobody.mp4: no person was seen" in printed.err
    assert "broken.mp4 cannot be opened" in printed.err
    assert "1 of 3 sources failed." in printed.err

    found = tmp_path / "found"
    options = ["--segments", found, "--format=jsonl", "--window=0.5", "--threshold=0"]
    assert run("infer", trained / "model.onnx", films, *options) == 1
    printed = capfd.readouterr()
    assert sorted(path.name for path in found.iterdir()) == ["nobody.jsonl", "yes.jsonl"]
    assert (found / "nobody.jsonl").read_text() == ""
    segments = [json.loads(line) for line in (found / "yes.jsonl").read_text().splitlines()]
    with av.open(str(films / "yes.mkv")) as film:
        seconds = len(list(film.decode(video=0))) / 30
    assert 0 <= segments[0]["start"] < segments[-1]["end"] <= seconds + 0.1
    assert "nobody.mp4: no person was seen" in printed.err
    assert "Traceback" not in printed.err

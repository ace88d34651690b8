import numpy as np
import pytest

from piumr.data.declaration import load_declaration
from piumr.data.formats import read_set
from piumr.errors import PiumrError

NTU = load_declaration("ntu60")
NAME = "S001C002P003R002A013"


def body(number, points, state=2):
    """The lines of a body in a frame."""
    states = np.broadcast_to(state, len(points))
    lines = [f"{number} 0 1 1 1 1 0 0.1 -0.2 2", str(len(points))]
    for (x, y, z), tracked in zip(points, states, strict=True):
        lines.append(f"{x:.6f} {y:.6f} {z:.6f} 250.1 200.2 900.3 500.4 0.1 0.2 0.3 0.4 {tracked}")
    return lines


def write(folder, frames, name=NAME):
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for lines_of_body in bodies:
            lines += lines_of_body
    (folder / f"{name}.skeleton").write_text("\n".join(lines) + "\n")


def points(frames, seed=0, moving=0.01):
    rng = np.random.default_rng(seed)
    return rng.normal([0, 0, 3], 1, (25, 3)) + rng.normal(0, moving, (frames, 25, 3))


def test_one_body(data):
    real = points(6)
    write(data, [[body(72057594037931101, frame)] for frame in real])
    clips = read_set(NTU, data)
    assert clips.class_names[clips.labels[0]] == "tear up paper"
    assert clips.persons == ("003",)
    assert clips.valid.all()
    np.testing.assert_allclose(clips.points, real, atol=1e-6)


def test_joints_that_kinect_did_not_find_are_missing_and_inferred_ones_are_not(data):
    state = np.full(25, 2)
    state[3], state[7] = 0, 1
    write(data, [[body(1, frame, state)] for frame in points(3)])
    clips = read_set(NTU, data)
    np.testing.assert_array_equal(clips.valid, np.broadcast_to(np.arange(25) != 3, (3, 25)))
    assert not clips.points[:, 3].any()


def test_frames_without_bodies_are_missing(data):
    real = points(5)
    write(data, [[body(1, frame)] if t in (1, 2, 4) else [] for t, frame in enumerate(real)])
    clips = read_set(NTU, data)
    assert clips.valid.all(axis=1).tolist() == [False, True, True, False, True]
    np.testing.assert_allclose(clips.points[4], real[4], atol=1e-6)


def test_a_clip_without_any_body_stays_and_is_warned_of(data, caplog):
    write(data, [[], [], []])
    clips = read_set(NTU, data)
    assert clips.points.shape == (3, 25, 3)
    assert not clips.valid.any()
    assert "1 clips show no person" in caplog.text


def test_the_body_seen_most_is_taken_whatever_its_place_in_a_frame(data):
    long, short = points(6, seed=1), points(6, seed=2)
    frames = [
        [body(1, short[t]), body(2, long[t])] if t % 2 else [body(2, long[t])] + ([body(1, short[t])] if t < 3 else [])
        for t in range(6)
    ]
    write(data, frames)
    np.testing.assert_allclose(read_set(NTU, data).points, long, atol=1e-6)


def test_of_two_bodies_seen_always_the_one_that_moves_most_is_taken(data):
    still, moving = points(6, seed=1, moving=0.001), points(6, seed=2, moving=0.1)
    write(data, [[body(1, still[t]), body(2, moving[t])] for t in range(6)])
    np.testing.assert_allclose(read_set(NTU, data).points, moving, atol=1e-6)


def test_ids_are_told_apart_to_the_last_digit(data):
    """As numbers with 53 bits, the two would be one."""
    assert float("72057594037931101") == float("72057594037931102")
    first, second = points(4, seed=1), points(4, seed=2)
    frames = [[body(72057594037931101, first[0])]]
    frames += [[body(72057594037931102, second[t]), body(72057594037931101, first[t])] for t in (1, 2, 3)]
    write(data, frames)
    np.testing.assert_allclose(read_set(NTU, data).points, first, atol=1e-6)


def lines_of(frames):
    return "\n".join(["1", "1", *body(1, points(1)[0])][:frames])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "breaks off"),
        ("0\n", "0 frames"),
        ("-1\n", "-1 frames"),
        ("999999999\n0\n", "999999999 frames"),
        ("3\n0\n0\n", "breaks off"),
        ("x\n", "something else"),
        (lines_of(3), "breaks off"),
        (lines_of(20), "25 joints in frame 0"),
        (lines_of(40).replace("\n25\n", "\n20\n"), "20 joints in frame 0"),
        (lines_of(40).replace("\n25\n", "\n-5\n"), "-5 joints in frame 0"),
        (lines_of(40).replace(" 250.1", "here 250.1", 1), "something else"),
        ("1\n1\n0 0 0 0 0 0 0 0 0 0\n" + "9" * 5000, "something else"),
    ],
)
def test_files_that_do_not_fit_are_refused(data, text, message):
    (data / f"{NAME}.skeleton").write_text(text)
    with pytest.raises(PiumrError, match=message) as error:
        read_set(NTU, data)
    assert f"{NAME}.skeleton" in str(error.value)
    assert "\n" not in str(error.value)


def test_protocols(data):
    train, test = (set(NTU.protocols["cross-subject"].train), set(NTU.protocols["cross-subject"].test))
    assert (len(train), len(test), len(train | test)) == (20, 20, 40)
    for person, camera in ((1, 1), (3, 2), (8, 3)):
        write(data, [[body(1, points(1)[0])]], f"S001C{camera:03d}P{person:03d}R001A001")
    clips = read_set(NTU, data)
    (split,) = NTU.protocols["cross-subject"].split(clips)
    assert ([clips.persons[i] for i in split.train], [clips.persons[i] for i in split.test]) == (
        ["001", "008"],
        ["003"],
    )
    (split,) = NTU.protocols["cross-view"].split(clips)
    assert [clips.names[i] for i in split.test] == ["S001C001P001R001A001"]

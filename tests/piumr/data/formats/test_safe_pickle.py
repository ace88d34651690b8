"""Real pickles come through, and nothing else: each attack here works with ``pickle.load``."""

import os
import pickle
import resource
import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from piumr.data.formats.safe_pickle import brief, load_pickle
from piumr.errors import PiumrError

DATA = {
    "split": {"train": ["a", "b"], "val": []},
    "annotations": [
        {
            "frame_dir": "a",
            "label": np.int64(3),
            "seen": np.bool_(True),
            "keypoint": np.random.default_rng(0).random((1, 30, 17, 2)).astype(np.float16),
            "keypoint_score": np.random.default_rng(1).random((1, 30, 17)).astype(np.float32),
            "column-wise": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
            "other byte order": np.arange(300, dtype=">f4"),
            "text": np.array(["nod", "shaking head"]),
            "none of them": np.zeros((0, 3)),
            "img_shape": (1296, 1080),
            "numbers": {1, 2},
            "more": frozenset(("x",)),
            "bytes": b"\x00\xff",
            "nothing": None,
            "share": 0.5,
        }
    ],
}


def write(tmp_path, content):
    path = tmp_path / "file.pkl"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_builtins_come_through(tmp_path, protocol):
    loaded = load_pickle(write(tmp_path, pickle.dumps(DATA, protocol)))
    assert loaded["split"] == DATA["split"]
    for key, value in DATA["annotations"][0].items():
        got = loaded["annotations"][0][key]
        assert np.array_equal(np.asarray(got), np.asarray(value)), key
        if isinstance(value, np.ndarray):
            assert np.asarray(got).dtype.newbyteorder("=") == value.dtype.newbyteorder("=")
            assert type(np.asarray(got)) is np.ndarray


def test_pickles_of_numpy_1_come_through(tmp_path):
    """NumPy 2 moved its modules; files written before name the old ones."""
    content = pickle.dumps(np.arange(5.0), 2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert b"numpy.core.multiarray" in content
    np.testing.assert_array_equal(load_pickle(write(tmp_path, content)), np.arange(5.0))


class Reduce:
    """An object that a pickle makes by calling a function."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


def global_call(module, name, argument):
    """A pickle that calls ``module.name(argument)``, whatever that is."""
    return b"c" + f"{module}\n{name}\n".encode() + pickle.dumps((argument,), 2)[2:-1] + b"R."


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("nested", [False, True])
def test_nothing_is_executed(tmp_path, protocol, nested):
    victim = tmp_path / "victim"
    attack = Reduce(os.system, f"touch {victim}")
    path = write(tmp_path, pickle.dumps({"annotations": [attack]} if nested else attack, protocol))
    with pytest.raises(PiumrError, match=r"posix\.system") as error:
        load_pickle(path)
    assert "\n" not in str(error.value)
    assert not victim.exists()
    with path.open("rb") as file:
        pickle.load(file)
    assert victim.exists()  # the attack is real


@pytest.mark.parametrize(
    ("module", "name", "argument"),
    [
        ("builtins", "eval", "1"),
        ("builtins", "exec", "1"),
        ("__builtin__", "eval", "1"),
        ("builtins", "getattr", "1"),
        ("builtins", "open", "x"),
        ("builtins", "__import__", "os"),
        ("builtins", "bytearray", 10**12),
        ("builtins", "range", 10),
        ("builtins", "bytes", 10**12),
        ("builtins", "set", "abc"),
        ("os", "system", "true"),
        ("posix", "system", "true"),
        ("subprocess", "Popen", "true"),
        ("numpy", "load", "x.npy"),
        ("numpy", "memmap", "x"),
        ("numpy", "zeros", 10**12),
        ("numpy", "fromfile", "x"),
        ("numpy", "core.multiarray._reconstruct", "x"),
        ("numpy.testing._private.utils", "runstring", "1"),
        ("numpy.lib._npyio_impl", "load", "x"),
        ("numpy.f2py.crackfortran", "myeval", "1"),
        ("numpy.core.multiarray", "frombuffer", b"x"),
        ("numpy.random._pickle", "__bit_generator_ctor", "x"),
        ("piumr.data.formats.safe_pickle", "load_pickle", "x"),
        ("torch._utils", "_rebuild_tensor", "x"),
        ("collections", "OrderedDict", []),
        ("functools", "partial", 1),
        ("pickle", "loads", b"x"),
    ],
)
def test_no_other_function_is_known(tmp_path, module, name, argument):
    with pytest.raises(PiumrError, match="builtins only"):
        load_pickle(write(tmp_path, global_call(module, name, argument)))


@pytest.mark.parametrize(
    "value",
    [
        np.array([{}, {}], dtype=object),
        np.array([(1, None)], dtype="i4,O"),
        np.array([(1, 2)], dtype="i4,i4"),
        np.dtype("O"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_arrays_of_objects_are_refused(tmp_path, value, protocol):
    with pytest.raises(PiumrError, match="an array of"):
        load_pickle(write(tmp_path, pickle.dumps(value, protocol)))


def array(shape, dtype="f8", content=b"", kind="numpy\nndarray"):
    """A pickle that builds an array by NumPy's own functions, of any shape and content."""
    state = b"(K\x01" + pickle.dumps(shape, 0)[:-1].replace(b"p0\n", b"")
    state += b"cnumpy\ndtype\n(V" + dtype.encode() + b"\nI00\nI01\ntR"
    state += b"(K\x03V<\nNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    state += b"\x89" + b"B" + struct.pack("<I", len(content)) + content + b"t"
    return b"\x80\x03cnumpy.core.multiarray\n_reconstruct\n(c" + kind.encode() + b"\n(K\x00tC\x01btR" + state + b"b."


def test_the_hand_made_array_is_an_array(tmp_path):
    loaded = load_pickle(write(tmp_path, array((2, 1), content=np.array([1.0, 2.0]).tobytes())))
    np.testing.assert_array_equal(loaded, [[1.0], [2.0]])


@pytest.mark.parametrize(
    "content",
    [
        array((10**12,)),
        array((2**61, 8)),
        array((-1,), content=bytes(8)),
        array((2,), content=bytes(8)),
        array((1,) * 40, content=bytes(8)),
        array((1,), dtype="O8", content=bytes(8)),
        array((1,), dtype="(1000000,1000000)f8", content=bytes(8)),
        array((0,), dtype="f8,O"),
        array((0,), dtype="U99999999999"),
        array((0,), kind="numpy\nmemmap"),
        array((0,), kind="builtins\nset"),
    ],
)
def test_arrays_that_are_not_what_they_say_are_refused(tmp_path, content):
    with pytest.raises(PiumrError, match="builtins only"):
        load_pickle(write(tmp_path, content))


def test_one_piece_of_memory_does_not_become_many(tmp_path):
    """A thousand arrays of the same megabyte would take a gigabyte."""
    content = bytes(2**20)
    before, after = array((2**17,), content=content)[2:-1].split(b"B" + struct.pack("<I", 2**20) + content)
    first = before + b"B" + struct.pack("<I", 2**20) + content + b"q\x00" + after  # remembered as number 0 ...
    again = before + b"h\x00" + after  # ... and taken from there
    path = write(tmp_path, b"\x80\x03]" + first + b"a" + (again + b"a") * 1000 + b".")
    with path.open("rb") as file:
        assert len(pickle.load(file)) == 1001
    with pytest.raises(PiumrError, match="larger than the file"):
        load_pickle(path)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b".",  # bytes of a terabyte
        b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",  # a bytearray of one
        b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b".",  # a text of one
        b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N.",  # a frame of one
        b"Nr" + struct.pack("<I", 2**31 - 1) + b".",  # a memo of 32 gigabytes, which the unpickler would fill
        b"Np999999999\n.",
        b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b".",
        b"I" + b"9" * 1_000_000 + b"\n.",
    ],
)
def test_sizes_are_checked_before_memory_is_taken(tmp_path, content):
    """In a process of its own that may take 600 MB more than it has."""
    path = write(tmp_path, content)
    code = (
        "import resource, sys; from pathlib import Path;"
        "from piumr.data.formats.safe_pickle import load_pickle; from piumr.errors import PiumrError;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: load_pickle(Path(sys.argv[1]))\n"
        "except PiumrError as error: print(error)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
    )
    *message, megabytes = done.stdout.splitlines()
    assert "builtins only" in message[0]
    assert int(megabytes) < 100


def test_a_message_shows_little_of_a_value_and_makes_little_of_it():
    """Six lists refer to the next one ten times each: a few bytes of a pickle are three million characters of text."""
    nested = [0]
    for _ in range(6):
        nested = [nested] * 10
    values = (nested, {"label": nested}, "a" * 1000, np.zeros((40, 40)), 10**5000, (10**5000, 5))
    tracemalloc.start()
    try:
        texts = [brief(value) for value in values]
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert all(0 < len(text) <= 80 and "\n" not in text for text in texts)
    assert [brief(value) for value in (-1, True, "nod", (0, 5), None)] == ["-1", "True", "'nod'", "(0, 5)", "None"]


def test_types_of_arrays_are_not_written_out(tmp_path):
    """The name of a type may be any object: here lists as above."""
    lists = b"(lp0\nI0\na0" + b"".join(b"(lp%d\n" % k + b"g%d\na" % (k - 1) * 10 + b"0" for k in range(1, 7))
    path = write(tmp_path, lists + b"cnumpy\ndtype\n(g6\ntR.")
    tracemalloc.start()
    try:
        with pytest.raises(PiumrError, match="an array of "):
            load_pickle(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "instruction"),
    [
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "NEWOBJ"),
        (b"(ios\nsystem\n.", "INST"),
        (b"\x82\x01.", "EXT1"),
        (b"Pname\n.", "PERSID"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
    ],
)
def test_instructions_that_do_more_than_build_data_are_refused(tmp_path, content, instruction):
    with pytest.raises(PiumrError, match=f"the instruction {instruction} at byte"):
        load_pickle(write(tmp_path, content))


def test_the_admitted_functions_cannot_be_changed(tmp_path):
    """BUILD sets attributes of whatever it finds; a changed function would stay changed for the next file."""
    for target in (b"cnumpy\ndtype\n", b"c_codecs\nencode\n", b"cnumpy.core.multiarray\n_reconstruct\n"):
        with pytest.raises(PiumrError, match="change a function"):
            load_pickle(write(tmp_path, target + b"(N}X\x09\x00\x00\x00_functionNstb."))


def test_damaged_files_give_one_line(tmp_path):
    whole = pickle.dumps(DATA)
    for content in (whole[:-1], whole[:100], whole[5:], b"no pickle", b"\x80\x7f.", b"."):
        with pytest.raises(PiumrError, match=r"file\.pkl: expected") as error:
            load_pickle(write(tmp_path, content))
        assert "\n" not in str(error.value)
    with pytest.raises(PiumrError, match="1 to"):
        load_pickle(write(tmp_path, b""))
    with pytest.raises(PiumrError, match="not there"):
        load_pickle(tmp_path / "none.pkl")


def test_flipped_bytes_never_do_more_than_fail(tmp_path):
    rng = np.random.default_rng(0)
    whole = pickle.dumps(DATA, 4)
    for _ in range(300):
        content = bytearray(whole)
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path = write(tmp_path, bytes(content))
        try:
            load_pickle(path)
        except PiumrError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_large_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("piumr.data.formats.safe_pickle.MAX_BYTES", 100)
    with pytest.raises(PiumrError, match="1 to 100 bytes"):
        load_pickle(write(tmp_path, pickle.dumps(DATA)))

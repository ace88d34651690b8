"""Pickles of NumPy arrays and builtins from people one does not know, read without executing anything.

A pickle is a program. Two guards stand before it. Its instructions are read first, without being run: only those that
build plain data pass, and none may claim a place in the unpickler's memo, which it allocates and fills, beyond those
that can be in use. Then it runs in an unpickler that knows no callable but the few with which NumPy rebuilds arrays,
in versions of our own: an array is made only of bytes that are in the file, never larger than them, and holds numbers
or text, never objects. All else, were it harmless, is refused by name.
"""

from __future__ import annotations

import math
import mmap
import pickle
import pickletools
import re
import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from piumr.errors import PiumrError

MAX_BYTES = 8 << 30
"""Largest file that is read."""

OPCODES = frozenset(
    # data, containers, memo, and the three by which NumPy's arrays are rebuilt: GLOBAL, REDUCE, BUILD
    "PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG1 LONG4 FLOAT BINFLOAT "
    "UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 "
    "EMPTY_LIST LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS "
    "EMPTY_SET ADDITEMS FROZENSET PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET "
    "GLOBAL STACK_GLOBAL REDUCE BUILD".split()
)
"""Instructions that a file may hold."""

PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))

DTYPE = re.compile(r"[<>|=]?[biufUS]\d{1,8}")
"""Types of array elements: numbers and text."""

_REPR = reprlib.Repr()
_REPR.maxlevel = 2  # at six entries a level no array in it is written out more than 36 times


def load_pickle(path: Path) -> Any:
    """The object in a pickle: builtins, and NumPy arrays of numbers or text.

    Raises:
        PiumrError: if the file is missing, larger than :data:`MAX_BYTES`, damaged, or holds anything else; nothing in
            it has been executed then.
    """
    if not path.is_file():
        raise PiumrError(f"Expected the file {path}, but it is not there.")
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise PiumrError(f"{path}: expected a pickle of 1 to {MAX_BYTES} bytes, but got {size}.")
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            _check_instructions(view)
            view.seek(0)
            return _Unpickler(view, size).load()
    except OSError as error:
        raise PiumrError(f"{path}: cannot be read: {error}.") from None
    except _DAMAGE as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise PiumrError(
            f"{path}: expected a pickle of NumPy arrays and builtins only, but got one that is damaged or holds "
            f"something else: {reason[:300]}."
        ) from None


def brief(value: object) -> str:
    """What a message shows of a value from a pickle: one line of at most 80 characters.

    A few bytes may refer to one list many times over, level upon level: its whole text would not fit into any memory.
    """
    try:
        return " ".join(_REPR.repr(value).split())[:80]
    except ValueError:  # an integer of more digits than Python writes
        return "a number of too many digits"


_DAMAGE = (
    pickle.UnpicklingError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    EOFError,
    OverflowError,
    MemoryError,
    RecursionError,
    AssertionError,  # pickletools' word for a damaged stack
)


def _check_instructions(view: mmap.mmap) -> None:
    """Refuse instructions that do more than build data.

    Raises:
        ValueError: naming the first one.
    """
    memo = 0
    argument: Any
    for opcode, argument, position in pickletools.genops(cast("IO[bytes]", view)):
        if opcode.name not in OPCODES:
            raise ValueError(f"the instruction {opcode.name} at byte {position}")
        if opcode.name in PUTS:
            if argument > memo:
                raise ValueError(f"place {argument} in a memo of {memo} at byte {position}")
            memo = max(memo, argument + 1)
        elif opcode.name == "MEMOIZE":
            memo += 1


class _Admitted:
    """A callable that a pickle may name. BUILD cannot change it."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("an attempt to change a function")


class _DType:
    """Stands for a ``numpy.dtype`` while its parts arrive."""

    __slots__ = ("_name",)

    def __init__(self, name: object, *_: object) -> None:
        if not isinstance(name, str) or not DTYPE.fullmatch(name):
            raise pickle.UnpicklingError(f"an array of {brief(name)}")
        self._name = name.lstrip("<>|=")

    def __setstate__(self, state: object) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("a damaged type of an array")
        self._name = f"{order}{self._name}"

    def resolve(self) -> np.dtype[Any]:
        return np.dtype(self._name)


class _Array(np.ndarray):
    """An array while its parts arrive, and after: NumPy's own, but for who may set its content."""

    _unpickler: _Unpickler

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise pickle.UnpicklingError("a damaged array")
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _DType) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("an array of objects")
        shape = self._unpickler.check(shape, dtype.resolve(), len(content))
        super().__setstate__((1, shape, dtype.resolve(), bool(fortran), content))  # type: ignore[arg-type]


class _Unpickler(pickle.Unpickler):
    """Knows the functions by which NumPy rebuilds arrays, and no others."""

    def __init__(self, file: mmap.mmap, size: int) -> None:
        super().__init__(file)
        self._left = size  # bytes that arrays may still take: together they cannot be larger than the file
        ndarray = _Admitted(_refuse)
        functions: dict[str, Callable[..., Any]] = {
            "multiarray _reconstruct": lambda kind, shape, _: self._reconstruct(kind is ndarray, shape),
            "multiarray scalar": self._scalar,
            "numeric _frombuffer": self._from_buffer,
        }
        self._admitted: dict[str, Any] = {
            "numpy dtype": _Admitted(_DType),
            "numpy ndarray": ndarray,
            "_codecs encode": _Admitted(_latin1),  # bytes, in protocols 0 to 2
            **{  # sets, and no bytes at all, in protocols 0 to 3
                f"{module} {kind.__name__}": _Admitted(lambda *items, kind=kind: kind(_listed(*items)))
                for module in ("builtins", "__builtin__")
                for kind in (set, frozenset, bytes)
            },
            **{
                f"numpy.{package}.{name}": _Admitted(function)
                for package in ("core", "_core")
                for name, function in functions.items()
            },
        }

    def find_class(self, module: str, name: str) -> Any:
        """The admitted callable of that name."""
        try:
            return self._admitted[f"{module} {name}"]
        except KeyError:
            raise pickle.UnpicklingError(f"{module[:80]}.{name[:80]}") from None

    def check(self, shape: object, dtype: np.dtype[Any], count: int) -> tuple[int, ...]:
        """Refuse an array whose shape promises other bytes than there are, or more than the file could hold."""
        if not isinstance(shape, tuple) or not all(type(n) is int and 0 <= n < 2**62 for n in shape) or len(shape) > 32:
            raise pickle.UnpicklingError("an array of a damaged shape")
        if math.prod(shape) * dtype.itemsize != count:
            raise pickle.UnpicklingError(f"an array of shape {shape} and {dtype} in {count} bytes")
        self._left -= count
        if self._left < 0:
            raise pickle.UnpicklingError("arrays that are larger than the file")
        return shape

    def _reconstruct(self, is_ndarray: bool, shape: object) -> _Array:
        if not is_ndarray or shape != (0,):
            raise pickle.UnpicklingError("an array of an unknown kind")
        array = np.empty(0, dtype=np.int8).view(_Array)
        array._unpickler = self
        return array

    def _scalar(self, dtype: object, content: object) -> Any:
        if not isinstance(dtype, _DType) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("a damaged number")
        self.check((), dtype.resolve(), len(content))
        return np.frombuffer(content, dtype.resolve())[0]

    def _from_buffer(self, content: object, dtype: object, shape: object, order: object) -> np.ndarray:
        if not isinstance(dtype, _DType) or not isinstance(content, bytes | bytearray) or order not in ("C", "F"):
            raise pickle.UnpicklingError("a damaged array")
        sizes = self.check(shape, dtype.resolve(), len(content))
        flat = np.frombuffer(content, dtype.resolve())
        return flat.reshape(sizes, order="C" if order == "C" else "F")


def _refuse(*_: object) -> None:
    raise pickle.UnpicklingError("an array made of nothing")


def _listed(items: object = ()) -> list[Any] | tuple[()]:
    if not isinstance(items, list) and items != ():
        raise pickle.UnpicklingError("a damaged set")
    return items


def _latin1(text: object, encoding: object) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("damaged bytes")
    return text.encode("latin1")

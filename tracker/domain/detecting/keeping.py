"""Turns what detectors remember into bytes, and back.

So a replay goes on where another one ended. Whoever remembers something names the members that are
to be kept, and the classes whose objects are in them. All else is None, numbers, bytes, text and
the usual containers of them. What is shared is written once, and is one object again: peers' names
are keys of many detectors.

A value begins with a byte that says what it is. Numbers have 7 bits in each byte, the lowest first.
"""

from __future__ import annotations

from array import array
from collections import deque
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NONE, _FALSE, _TRUE, _NUMBER, _LONG, _BYTES, _TEXT, _DICT, _ARRAY, _AGAIN = range(10)
_CONTAINERS: tuple[type, ...] = (tuple, list, deque, set)
_FIRST_CONTAINER = 10
_FIRST = 14  # then come the classes


class Remembers(Protocol):
    """Remembers something from one event to the next."""

    @property
    def version(self) -> int:
        """Number of the rule: a detector of another one does not go on with what was kept."""
        ...

    @property
    def kept(self) -> tuple[str, ...]:
        """The members that are remembered. All others follow from the parameters."""
        ...

    @property
    def holds(self) -> tuple[Any, ...]:
        """The classes of objects in them: named tuples, and classes with slots."""
        ...


def shape(each: Remembers) -> str:
    """Returns what must be equal so that one can go on with what another remembered."""
    held = [(one.__name__, _members(one)) for one in each.holds]
    said = type(each).__name__, each.version, getattr(each, "parameters", None), each.kept, held
    return blake2b(repr(said).encode(), digest_size=8).hexdigest()


def _members(kind: Any) -> tuple[str, ...]:
    return tuple(kind._fields if issubclass(kind, tuple) else kind.__slots__)


def pack(several: Iterable[Remembers]) -> bytearray:
    """Returns what they remember."""
    writer = _Writer()
    for each in several:
        writer.kinds = {kind: number for number, kind in enumerate(each.holds, _FIRST)}
        for name in each.kept:
            writer.put(getattr(each, name))
    return writer.out


def restore(several: Sequence[Remembers], data: bytes) -> None:
    """Has each remember what `pack` returned. Raises anything for other data, and then none of them
    has changed.
    """
    reader, values = _Reader(data), list[Any]()
    for each in several:
        reader.holds = each.holds
        values += [(each, name, reader.value()) for name in each.kept]
    if reader.at != len(data):
        raise ValueError("there is more than they remember")
    for each, name, value in values:
        setattr(each, name, value)


class _Writer:
    """Appends values to `out`. `kinds`: numbers of the classes with objects."""

    __slots__ = ("_seen", "kinds", "out")

    def __init__(self) -> None:
        self.out = bytearray()
        self.kinds: dict[type, int] = {}
        # Numbers of objects that were written, by their ids; nobody removes one meanwhile.
        self._seen: dict[int, int] = {}

    def put(self, value: Any) -> None:
        kind = type(value)
        if kind is int:
            self._int(value)
        elif value is None:
            self.out.append(_NONE)
        elif kind is bool:
            self.out.append(_TRUE if value else _FALSE)
        elif kind is dict:
            self._head(_DICT, len(value))
            for key, one in value.items():
                self.put(key)
                self.put(one)
        elif kind is bytes:
            if not self._again(value):
                self._head(_BYTES, len(value))
                self.out += value
        elif kind is str:
            text = value.encode()
            self._head(_TEXT, len(text))
            self.out += text
        elif kind is array:
            self._head(_ARRAY, len(value))
            self.out += value.tobytes()
        elif kind in _CONTAINERS:
            if kind is not tuple or not self._again(value):
                self._head(_FIRST_CONTAINER + _CONTAINERS.index(kind), len(value))
                for one in value:
                    self.put(one)
        else:
            self._object(value, kind)

    def _object(self, value: Any, kind: Any) -> None:
        number = self.kinds[kind]
        if isinstance(value, tuple):
            self.out.append(number)
            for one in value:
                self.put(one)
        elif not self._again(value):
            self.out.append(number)
            for name in kind.__slots__:
                self.put(getattr(value, name))

    def _again(self, value: Any) -> bool:
        """Writes the number of an object that was written before. Returns whether it was."""
        name = id(value)
        number = self._seen.get(name)
        if number is None:
            self._seen[name] = len(self._seen)
            return False
        self._head(_AGAIN, number)
        return True

    def _int(self, value: int) -> None:
        if 0 <= value < 1 << 62:
            self._head(_NUMBER, value)
        else:
            size = value.bit_length() // 8 + 1
            self._head(_LONG, size)
            self.out += value.to_bytes(size, "little", signed=True)

    def _head(self, what: int, number: int) -> None:
        out = self.out
        out.append(what)
        while number > 127:
            out.append(number & 127 | 128)
            number >>= 7
        out.append(number)


class _Reader:
    """Reads values. `holds`: the classes of the objects in them."""

    __slots__ = ("_data", "_made", "at", "holds")

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0
        self.holds: tuple[Any, ...] = ()
        self._made: list[Any] = []  # objects by their numbers

    def value(self) -> Any:
        what = self._data[self.at]
        self.at += 1
        if what >= _FIRST:
            return self._object(self.holds[what - _FIRST])
        if what <= _TRUE:
            return None if what == _NONE else what == _TRUE
        number = self._number()
        if what == _NUMBER:
            return number
        if what == _AGAIN:
            return self._made[number]
        if what == _DICT:
            return self._dict(number)
        if what == _LONG:
            return int.from_bytes(self._piece(number), "little", signed=True)
        if what == _TEXT:
            return self._piece(number).decode()
        if what == _ARRAY:
            return array("Q", self._piece(8 * number))
        if what == _BYTES:
            piece = self._piece(number)
            self._made.append(piece)
            return piece
        return self._container(what - _FIRST_CONTAINER, number)

    def _container(self, kind: int, number: int) -> Any:
        place = len(self._made)
        if kind == 0:
            self._made.append(None)  # a tuple has its number before what is in it
        values = [self.value() for _ in range(number)]
        made = _CONTAINERS[kind](values)
        if kind == 0:
            self._made[place] = made
        return made

    def _object(self, kind: Any) -> Any:
        if issubclass(kind, tuple):
            return kind(*[self.value() for _ in kind._fields])
        one = kind.__new__(kind)
        self._made.append(one)
        for name in kind.__slots__:
            setattr(one, name, self.value())
        return one

    def _dict(self, number: int) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for _ in range(number):
            key = self.value()
            made[key] = self.value()
        return made

    def _number(self) -> int:
        number, byte = 0, 0
        while self._data[self.at + byte] > 127:
            byte += 1
        shift = byte + 1  # bytes to go on by
        while byte >= 0:  # the last one has the highest bits
            number = number << 7 | self._data[self.at + byte] & 127
            byte -= 1
        self.at += shift
        return number

    def _piece(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self._data):
            raise ValueError("the end is missing")
        piece = self._data[self.at : end]
        self.at = end
        return piece

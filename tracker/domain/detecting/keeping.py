"""Turns what detectors remember into plain data, which is JSON, and back.

So a replay goes on where another one ended. Whoever remembers something names the members that are
to be kept, and the classes whose objects are in them. All else is None, numbers, bytes and the
usual containers of them. An object that several containers share is one again.
"""

from __future__ import annotations

from array import array
from collections import deque
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CONTAINERS: tuple[type, ...] = (tuple, list, deque, set)  # by the number that stands before them
_DICT, _ARRAY, _AGAIN, _FIRST = 4, 5, 6, 7  # numbers of what else there is; then come classes


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


def as_data(each: Remembers) -> list[Any]:
    """Returns what it remembers."""
    numbers = {kind: number for number, kind in enumerate(each.holds, _FIRST)}
    seen: dict[int, int] = {}  # numbers of objects with slots, by their ids
    return [_plain(getattr(each, name), numbers, seen) for name in each.kept]


def restore(several: Iterable[tuple[Remembers, Sequence[Any]]]) -> None:
    """Has each remember what `as_data` returned. Raises anything for other data, and then none of
    them has changed.
    """
    values = []
    for each, data in several:
        made: list[Any] = []
        values += [
            (each, name, _made(one, each.holds, made))
            for name, one in zip(each.kept, data, strict=True)
        ]
    for each, name, value in values:
        setattr(each, name, value)


def _members(kind: Any) -> tuple[str, ...]:
    return tuple(kind._fields if issubclass(kind, tuple) else kind.__slots__)


def _plain(value: Any, numbers: dict[type, int], seen: dict[int, int]) -> Any:
    kind = type(value)
    if kind is int or value is None or kind is bool:
        return value
    if kind is bytes:
        return value.decode("latin-1")
    if kind is dict:
        pairs = [_plain(one, numbers, seen) for pair in value.items() for one in pair]
        return [_DICT, *pairs]
    if kind is array:
        return [_ARRAY, *value]
    if kind in _CONTAINERS:
        return [_CONTAINERS.index(kind), *[_plain(one, numbers, seen) for one in value]]
    number = numbers[kind]
    if isinstance(value, tuple):
        return [number, *[_plain(one, numbers, seen) for one in value]]
    if id(value) in seen:
        return [_AGAIN, seen[id(value)]]
    seen[id(value)] = len(seen)
    return [number, *[_plain(getattr(value, name), numbers, seen) for name in kind.__slots__]]


def _made(data: Any, holds: tuple[Any, ...], made: list[Any]) -> Any:
    if isinstance(data, str):
        return data.encode("latin-1")
    if not isinstance(data, list):
        return data
    number = data[0]
    if number == _ARRAY:
        return array("Q", data[1:])
    if number == _AGAIN:
        return made[data[1]]
    if number >= _FIRST and not issubclass(holds[number - _FIRST], tuple):
        kind = holds[number - _FIRST]
        one = kind.__new__(kind)
        made.append(one)
        for name, value in zip(kind.__slots__, data[1:], strict=True):
            setattr(one, name, _made(value, holds, made))
        return one
    values = [_made(each, holds, made) for each in data[1:]]
    if number == _DICT:
        return dict(zip(values[::2], values[1::2], strict=True))
    if number >= _FIRST:
        return holds[number - _FIRST](*values)
    return _CONTAINERS[number](values)

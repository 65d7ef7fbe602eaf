"""Declares events: the base classes, the decorators, and the tables of all declared events.

A declaration is one class: `events/admin.py` has the admin events, `events/records.py` the records
of fixed size. The decorators below enter the class in a table, under its number. Codec, names,
filters, durability and JSON follow from these tables; nothing else lists events. docs/changing.md
has the recipe.

Announces are not declared, because their codec is on the hot path and written by hand
(`events/announce.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from struct import Struct, error
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar, get_args, get_type_hints

import attrs
from attrs import frozen

from tracker.domain.events.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracker.domain.events.target import Accounting, Target

Section = bytes | memoryview

Subject = tuple[str, object]
"""A thing that an event changes, as a kind and an identifier: `("key_ref", 7)`."""

InfoHash = Annotated[bytes, "info_hash"]
KeyHash = Annotated[bytes, "key_hash"]
KeyRef = Annotated[int, "key_ref"]
Account = Annotated[int, "account"]
FactorNumber = Annotated[int, "factor"]
Network = Annotated[str, "network"]
AccessTokenNumber = Annotated[int, "access_token"]
# A field of one of these types makes its value a subject of the event. The text is the subject's
# kind.


@frozen(kw_only=True)
class AdminEvent:
    """Base of the admin events. A field is a member of the JSON with the same name.

    The JSON omits a member that has its default. `by` describes the administrator, or the setting,
    that caused the event.
    """

    number: ClassVar[int]
    name: ClassVar[str]
    schema: ClassVar[int]
    administered: ClassVar[bool] = True
    """False: the tracker logs the event by itself, and nobody asked for it."""
    _subjects: ClassVar[tuple[tuple[str, str], ...]]

    by: dict[str, str] | None = None

    def apply(self, to: Target, seq: int, time_us: int) -> None:
        """Changes the state. `seq` and `time_us` (log time) are the event's own.

        Raises `ReplayError` if the event cannot have happened, and `UnknownEventError` if it needs
        rules of a newer version. The base changes nothing.
        """

    def stays(self) -> bool:
        """Says whether it is kept when its segment is removed, for ever: what administrators do is,
        and what tells from which event on the log has tags."""
        return self.administered

    def subjects(self) -> list[Subject]:
        """Returns the things that this event changes.

        A reply about one of them waits until the event is durable.
        """
        found = [(kind, getattr(self, name)) for name, kind in self._subjects]
        return [(kind, which) for kind, which in found if which is not None]


@frozen(kw_only=True)
class AccountingEvent(AdminEvent, ABC):
    """Base of the admin events that change how announces count. The ledger applies them too."""

    @abstractmethod
    def apply(self, to: Accounting, seq: int, time_us: int) -> None:
        """Changes how announces count, for the state and the ledger alike."""


@frozen(kw_only=True)
class ClockEvent(AdminEvent):
    """Base of the admin events that say what the wall clock showed. It gives the lead (`dates`)."""

    administered = False

    wall_us: int | None = None  # microseconds since 1970; None = an older version did not say


@frozen
class FixedRecord(ABC):
    """Base of the records of fixed size. The fields are the parts of the layout, in order.

    A text is UTF-8, filled up with zeros.
    """

    kind: ClassVar[int]
    name: ClassVar[str]
    schema: ClassVar[int]
    layout: ClassVar[Struct]

    time_us: int  # log time

    def pack(self) -> bytes:
        """Returns the record as the bytes for the log."""
        values = attrs.astuple(self, recurse=False)
        return self.layout.pack(*[v.encode() if isinstance(v, str) else v for v in values])

    @classmethod
    def unpack(cls, plain: Section) -> Iterator[Self]:
        """Reads the records of a frame. Raises `CodecError`."""
        try:
            for row in cls.layout.iter_unpack(plain):
                yield cls(*row)
        except (error, UnicodeDecodeError) as problem:
            what = f"records of {cls.layout.size} bytes ({cls.name}): {problem}"
            raise CodecError(what) from None

    def check(self, state: Target) -> None:  # noqa: B027  # most have nothing to compare
        """Compares the record with the state before it. Raises `ReplayError` when they differ."""

    @abstractmethod
    def apply(self, to: Target, seq: int) -> None:
        """Changes the state. `seq` is the event's own.

        Raises `ReplayError` if the event cannot have happened.
        """

    @abstractmethod
    def shown(self) -> dict[str, Any]:
        """Returns the fields of the event for JSON, in order, without number, time and type."""


ADMIN_EVENTS: dict[int, type[AdminEvent]] = {}
"""The declared admin events by number."""

RECORDS: dict[int, type[FixedRecord]] = {}
"""The declared records of fixed size by kind."""

_Event = TypeVar("_Event", bound=AdminEvent)
_Record = TypeVar("_Record", bound=FixedRecord)


def admin_event(number: int, name: str, schema: int = 1) -> Callable[[type[_Event]], type[_Event]]:
    """Declares an admin event. Its number and name are part of the log format, for ever."""

    def enter(cls: type[_Event]) -> type[_Event]:
        hints = get_type_hints(cls, include_extras=True)
        cls.number, cls.name, cls.schema = number, name, schema
        kinds = ((field.name, _kind(hints[field.name])) for field in attrs.fields(cls))
        cls._subjects = tuple((field, kind) for field, kind in kinds if kind)
        _enter(ADMIN_EVENTS, number, cls)
        return cls

    return enter


def fixed_record(
    kind: int, name: str, layout: str, schema: int = 1
) -> Callable[[type[_Record]], type[_Record]]:
    """Declares a record of fixed size. `layout` is a format of `struct`, with the time first."""

    def enter(cls: type[_Record]) -> type[_Record]:
        cls.kind, cls.name, cls.schema, cls.layout = kind, name, schema, Struct(layout)
        _enter(RECORDS, kind, cls)
        return cls

    return enter


def _enter(table: dict[int, Any], number: int, cls: type[Any]) -> None:
    if number in table:
        raise AssertionError(
            f"{cls.__name__} and {table[number].__name__} are both number {number}"
        )
    table[number] = cls


def _kind(hint: Any) -> str | None:
    """Returns the kind of subject that a type, or a member of a union, names; None = no subject."""
    for each in (hint, *get_args(hint)):
        if hasattr(each, "__metadata__"):
            return str(each.__metadata__[0])
    return None

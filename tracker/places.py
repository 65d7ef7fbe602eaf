"""Bounds how many connections are open, so that one sender cannot keep everybody else out.

A connection waits while its client could end it unserved: in a TLS handshake, before a request,
between two. When all places are taken, the connection that has waited longest ends, and the
newcomer gets its place. The HTTP tracker, the API and the health check each have places of their
own.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Queue = OrderedDict["Place", None]  # the connection that has waited longest comes first


def network(address: bytes) -> bytes:
    """Returns what counts as one source: an IPv4 address (4 bytes), or the /64 of an IPv6 one (8
    bytes).
    """
    return address if len(address) == 4 else address[:8]


class Place:
    """One open connection."""

    __slots__ = ("end", "open", "source")

    def __init__(self, source: Source, end: Callable[[], object]) -> None:
        self.source = source
        self.end = end
        self.open = True


class Source:
    """The connections of one source."""

    __slots__ = ("name", "open", "waiting")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.open = 0
        self.waiting: Queue = OrderedDict()


class Places:
    """The open connections of some listeners that share a bound."""

    __slots__ = (
        "_kept", "_most", "_most_each", "_sources", "_waiting", "given_way", "opened", "refused",
    )  # fmt: skip

    def __init__(self, most: int, most_each: int = 0) -> None:
        """`most`: connections in all; `most_each`: of one source, 0 = as many as in all."""
        self._most = most
        self._most_each = most_each
        self.opened = 0  # connections that have a place
        self._sources: dict[bytes, Source] = {}
        self._waiting: Queue = OrderedDict()
        self._kept: Queue = OrderedDict()  # exempt within a bound
        self.given_way = 0  # connections ended for a newcomer, since the start
        self.refused = 0  # newcomers that found no waiting connection, since the start

    def take(
        self, address: bytes, end: Callable[[], object], *, shared: bool = False
    ) -> Place | None:
        """Gives a connection a place, as one that waits; None = there is none.

        `address`: the client's, 4 or 16 bytes. `end` is called, at most once, when the connection
        has to give way. A `shared` address, of a proxy, has no bound of its own, and its
        connections do not count for it.
        """
        name = b"" if shared else network(address)
        source = self._sources.get(name)
        if source is not None and not shared and 0 < self._most_each <= source.open:
            room = self._give_way(source.waiting)
        else:
            room = self.opened < self._most or self._give_way(self._waiting)
        if not room:
            self.refused += 1
            return None
        source = self._sources.setdefault(name, Source(name))
        source.open += 1
        self.opened += 1
        place = Place(source, end)
        self._waiting[place] = source.waiting[place] = None
        return place

    def wait_anew(self, place: Place) -> None:
        """Makes a connection the last to give way, because it was served."""
        if place in self._waiting:
            self._waiting.move_to_end(place)
            place.source.waiting.move_to_end(place)

    def keep(self, place: Place, most: int = 0) -> None:
        """Exempts a connection from giving way, because its client has proved who it is.

        `most`: of the connections kept with this bound so many are exempt, 0 = without a bound. One
        more, and the one that was used least lately waits again.
        """
        if not place.open:
            return
        self._forget(place)
        if most:
            self._kept[place] = None
        if len(self._kept) > most > 0:
            oldest, _ = self._kept.popitem(last=False)
            self._waiting[oldest] = oldest.source.waiting[oldest] = None

    def _forget(self, place: Place) -> None:
        for queue in (self._waiting, place.source.waiting, self._kept):
            queue.pop(place, None)

    def give_back(self, place: Place) -> None:
        """Ends what `take` began. A connection that gave way has done so already."""
        if not place.open:
            return
        place.open = False
        self._forget(place)
        self.opened -= 1
        place.source.open -= 1
        if not place.source.open:
            del self._sources[place.source.name]

    def _give_way(self, waiting: Queue) -> bool:
        """Ends the connection that has waited longest; False = none waits."""
        oldest = next(iter(waiting), None)
        if oldest is None:
            return False
        self.give_back(oldest)
        self.given_way += 1
        oldest.end()
        return True

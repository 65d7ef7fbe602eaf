"""Bounds how many connections are open, so that one sender cannot keep everybody else out.

A connection waits while its client could end it unserved: in a TLS handshake, before a request,
between two. When all places are taken, the connection that has waited longest ends, and the
newcomer gets its place. The HTTP tracker, the API and the health check each have places of their
own.

This module can be compiled, with the types in the .pxd beside it, because every request over a
connection that is kept alive makes that one the last to give way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def network(address: bytes) -> bytes:
    """Returns what counts as one source: an IPv4 address (4 bytes), or the /64 of an IPv6 one (8
    bytes).
    """
    return address if len(address) == 4 else address[:8]


class Link:
    """Puts a place into a ring: the one that has been in it longest comes first.

    A link without a place is the ring itself; it comes after the last one and before the first.
    """

    __slots__ = ("after", "before", "place")

    def __init__(self, place: Place | None = None) -> None:
        self.place = place
        self.before: Link | None = None  # None = it is in no ring, or the ring is empty
        self.after: Link | None = None

    def enter(self, ring: Link) -> None:
        """Becomes the last one of a ring, wherever it was before."""
        self.leave()
        last = ring if ring.before is None else ring.before
        self.before = last
        self.after = ring
        last.after = ring.before = self

    def leave(self) -> None:
        before, after = self.before, self.after
        if before is not None and after is not None:
            before.after = after
            after.before = before
            self.before = self.after = None


class Place:
    """One open connection."""

    __slots__ = ("end", "kept", "of_all", "of_source", "open", "source")

    def __init__(self, source: Source, end: Callable[[], object]) -> None:
        self.source = source
        self.end = end
        self.open = True
        self.kept = False  # it is in the ring of those that are exempt within a bound
        self.of_all = Link(self)  # in that ring, or among all that wait
        self.of_source = Link(self)  # among those of the source that wait


class Source:
    """The connections of one source."""

    __slots__ = ("name", "open", "waiting")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.open = 0
        self.waiting = Link()


class Places:
    """The open connections of some listeners that share a bound."""

    __slots__ = (
        "_exempt", "_kept", "_most", "_most_each", "_sources", "_waiting", "given_way", "opened", "refused",
    )  # fmt: skip

    def __init__(self, most: int, most_each: int = 0) -> None:
        """`most`: connections in all; `most_each`: of one source, 0 = as many as in all."""
        self._most = most
        self._most_each = most_each
        self.opened = 0  # connections that have a place
        self._sources: dict[bytes, Source] = {}
        self._waiting = Link()
        self._kept = Link()
        self._exempt = 0  # connections in `_kept`
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
        source = self._sources.get(name)  # anew, because it may have ended with its last connection
        if source is None:
            source = self._sources[name] = Source(name)
        source.open += 1
        self.opened += 1
        place = Place(source, end)
        self._wait(place)
        return place

    def wait_anew(self, place: Place) -> None:
        """Makes a connection the last to give way, because it was served."""
        if place.of_source.before is not None:  # it waits
            self._wait(place)

    def _wait(self, place: Place) -> None:
        place.of_all.enter(self._waiting)
        place.of_source.enter(place.source.waiting)

    def keep(self, place: Place, most: int = 0) -> None:
        """Exempts a connection from giving way, because its client has proved who it is.

        `most`: of the connections kept with this bound so many are exempt, 0 = without a bound. One
        more, and the one that was used least lately waits again.
        """
        if not place.open:
            return
        self._forget(place)
        if most:
            place.of_all.enter(self._kept)
            place.kept = True
            self._exempt += 1
        if self._exempt > most > 0:
            oldest = _first(self._kept)
            if oldest is not None:
                self._forget(oldest)
                self._wait(oldest)

    def _forget(self, place: Place) -> None:
        place.of_all.leave()
        place.of_source.leave()
        if place.kept:
            place.kept = False
            self._exempt -= 1

    def give_back(self, place: Place) -> None:
        """Ends what `take` began. A connection that gave way has done so already."""
        if not place.open:
            return
        place.open = False
        self._forget(place)
        # Nothing of it refers to itself any longer, because collections are rare.
        place.of_all.place = place.of_source.place = None
        self.opened -= 1
        source = place.source
        source.open -= 1
        if not source.open:
            source.waiting.leave()
            del self._sources[source.name]

    def _give_way(self, waiting: Link) -> bool:
        """Ends the connection that has waited longest; False = none waits."""
        oldest = _first(waiting)
        if oldest is None:
            return False
        self.give_back(oldest)
        self.given_way += 1
        oldest.end()
        return True


def _first(ring: Link) -> Place | None:
    """Returns the place that has been in a ring longest; None = the ring is empty."""
    return None if ring.after is None else ring.after.place

"""Serves torrents in version 2: counts, and the facts that the site says about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from quart import request

from api.caller import actor
from api.endpoint import NO_CONTENT, Endpoint, Parameter, answer
from api.openapi import shapes
from api.reads import AT
from api.replies import empty, encode, json_text
from api.times import rfc3339
from api.v2 import bodies, changes, params
from api.v2.lists import SEARCH, TEXT, TIME, WHOLE, Listing, listed
from api.v2.problems import Problem, commanded
from tracker.ports import MAX_NAME, ReadModel, TorrentFacts

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response
    from api.v2.changes import Changes
    from tracker.ports import Commands, Torrent

MAX_TORRENTS: Final = 1000  # the most in one request
MAX_TAGS: Final = 32  # of one torrent
MAX_TAG: Final = 64  # characters
_I64_MAX: Final = 2**63 - 1

_FACTS: Final = ("label", "size", "site_id", "uploader", "added", "tags")
UNKNOWN: Final = "the tracker knows nothing of that torrent"


LISTING: Final = Listing(
    "info_hash",
    {
        "seeders": ("seeders", WHOLE),
        "leechers": ("leechers", WHOLE),
        "completed": ("completed", WHOLE),
        "size": ("size", WHOLE),
        "site_id": ("site_id", WHOLE),
        "added": ("added_us", TIME),
        "label": ("label", TEXT),
        "uploader": ("uploader", TEXT),
    },
    (
        SEARCH,
        Parameter(name="label", schema=shapes.STRING),
        Parameter(name="uploader", schema=shapes.STRING),
        Parameter(name="site_id", schema=shapes.WHOLE),
        Parameter(name="whitelisted", schema=shapes.FLAG),
    ),
)


@frozen
class Torrents:
    reads: Reads
    commands: Commands
    changes: Changes

    def endpoints(self) -> list[Endpoint]:
        one, facts = "/torrents/{info_hash}", "/torrents/{info_hash}/facts"
        many = shapes.form(("torrents",), torrents=shapes.array(shapes.TORRENT_FORM, MAX_TORRENTS))
        listing = changes.listing("torrents", changes.COUNTS, shapes.TORRENT)
        return [
            Endpoint(
                "GET", "/torrents", self.many, "Torrents that the tracker knows.", answer(listing),
                query=(*LISTING.parameters(), changes.SINCE),
            ),
            Endpoint(
                "GET", "/swarms", self.swarms, "Torrents that have peers.",
                answer(shapes.page("swarms", shapes.TORRENT, shapes.CURSOR)), query=LISTING.parameters(),
            ),
            Endpoint(
                "GET", one, self.one, "A torrent's counts and facts.", answer(shapes.TORRENT),
                query=(AT,),
            ),
            Endpoint(
                "PUT", facts, self.describe, "Say facts about a torrent.", answer(shapes.TORRENT),
                body=shapes.FACTS_FORM,
            ),
            Endpoint("DELETE", facts, self.forget, "Take back all facts about a torrent.", NO_CONTENT),
            Endpoint(
                "POST", "/torrents", self.describe_many, "Say facts about many torrents.",
                answer(shapes.record(changed=shapes.WHOLE, unchanged=shapes.WHOLE)), body=many,
            ),
        ]  # fmt: skip

    async def many(self) -> Response:
        """Lists the torrents that have peers or had, that the site describes, or whitelisted."""
        if changes.wanted():
            return await self.changes.torrents()
        return await self._list("torrents", present=False)

    async def swarms(self) -> Response:
        return await self._list("swarms", present=True)

    async def _list(self, name: str, *, present: bool) -> Response:
        given = LISTING.given()
        equal: list[tuple[str, str | int]] = [
            (each, given[each]) for each in ("label", "uploader") if each in given
        ]
        if "site_id" in given:
            equal.append(("site_id", params.whole("site_id", given["site_id"], _I64_MAX)))
        if "whitelisted" in given:
            equal.append(("whitelisted", params.flag(given, "whitelisted")))
        query = LISTING.query(given, equal=tuple(equal), search=given.get("search", ""))
        found = self.reads.each(ReadModel.listed_torrents, query, present)
        return await listed(name, found, query, torrent_json, "info_hash")

    async def one(self, info_hash: str) -> Response:
        params.only(request.args, "at")
        found = await self.reads.one(ReadModel.torrent, params.info_hash(info_hash))
        if found is None:
            raise Problem(404, UNKNOWN)
        return json_text(encode(torrent_json(found)))

    async def describe(self, info_hash: str) -> Response:
        """Says these facts in place of all that were said before. Returns the torrent."""
        torrent = params.info_hash(info_hash)
        facts = _facts(await bodies.members(*_FACTS), "")
        if facts == TorrentFacts():
            raise Problem(422, f"expected at least one of: {', '.join(_FACTS)}")
        with commanded():
            await self.commands.describe_torrents([(torrent, facts)], actor())
        return await self.one(info_hash)

    async def describe_many(self) -> Response:
        """Does the same for many torrents; those whose facts stay are skipped."""
        given = await bodies.members("torrents")
        wanted = []
        for place, value in bodies.items(given, "torrents", MAX_TORRENTS):
            each = bodies.known(value, f"{place}.", "info_hash", *_FACTS)
            torrent = bodies.info_hash(each.get("info_hash"), f"{place}.info_hash")
            wanted.append((torrent, _facts(each, f"{place}.")))
        with commanded():
            changed = await self.commands.describe_torrents(wanted, actor())
        return json_text(encode({"changed": changed, "unchanged": len(wanted) - changed}))

    async def forget(self, info_hash: str) -> Response:
        torrent = params.info_hash(info_hash)
        with commanded():
            changed = await self.commands.describe_torrents([(torrent, TorrentFacts())], actor())
        if not changed:
            raise Problem(404, "nothing is said about that torrent")
        return empty(204)


def _facts(given: dict[str, Any], place: str) -> TorrentFacts:
    return TorrentFacts(
        label=bodies.text(given, "label", MAX_NAME, place),
        size=bodies.whole(given, "size", _I64_MAX, place),
        site_id=bodies.whole(given, "site_id", _I64_MAX, place),
        uploader=bodies.text(given, "uploader", MAX_NAME, place),
        added_us=bodies.time_us(given, "added", place),
        tags=_tags(given, place),
    )


def _tags(given: dict[str, Any], place: str) -> tuple[str, ...] | None:
    value = given.get("tags")
    if value is None or value == []:
        return None
    if not isinstance(value, list) or len(value) > MAX_TAGS:
        raise Problem(422, f"{place}tags: expected a list of at most {MAX_TAGS} tags")
    tags = [bodies.text({"tag": each}, "tag", MAX_TAG, f"{place}tags: ") for each in value]
    if None in tags:
        raise Problem(422, f"{place}tags: expected texts")
    return tuple(dict.fromkeys(each for each in tags if each is not None))


def torrent_json(torrent: Torrent) -> dict[str, object]:
    summary, facts = torrent.summary, torrent.facts
    return {
        "info_hash": summary.info_hash.hex(),
        "seeders": summary.seeders,
        "completed": summary.completed,
        "leechers": summary.leechers,
        "whitelisted": torrent.whitelisted,
        "label": facts.label,
        "size": torrent.least_size if facts.size is None else facts.size,
        # Nobody said the size, and a peer had so much left to download.
        "size_at_least": facts.size is None and torrent.least_size is not None,
        "site_id": facts.site_id,
        "uploader": facts.uploader,
        "added": rfc3339(facts.added_us),
        "tags": list(facts.tags or ()),
    }

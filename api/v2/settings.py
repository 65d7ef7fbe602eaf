"""Serves the settings in force, where each comes from, and their changes, in version 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen
from quart import request

from api.caller import actor
from api.endpoint import REASON, Endpoint, answer
from api.openapi import shapes
from api.reads import AT, SEQ_MAX
from api.replies import encode, json_text
from api.streams import json_object, shaped
from api.times import rfc3339
from api.v2 import bodies, params
from api.v2.pages import gather
from api.v2.problems import Problem, commanded
from tracker.ports import ReadModel

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response
    from tracker.ports import Commands, SettingInForce, SettingsChanged

_WHO = {"by": shapes.nullable(shapes.STRING), "reason": shapes.STRING}
_ANY: dict[str, Any] = {}  # a schema that takes every value


@frozen
class Settings:
    reads: Reads
    commands: Commands

    def endpoints(self) -> list[Endpoint]:
        key = shapes.record(
            key=shapes.STRING, value=_ANY, file=_ANY, seq=shapes.nullable(shapes.SEQ),
            time=shapes.nullable(shapes.TIME), **_WHO,
        )  # fmt: skip
        shown = shapes.record(
            seq=shapes.nullable(shapes.SEQ), settings=shapes.ANYTHING, keys=shapes.array(key)
        )
        change = shapes.record(seq=shapes.SEQ, time=shapes.TIME, settings=shapes.ANYTHING, **_WHO)
        changed = shapes.record(key=shapes.STRING, value=_ANY, before=_ANY)
        made = shapes.record(seq=shapes.nullable(shapes.SEQ), changed=shapes.array(changed))
        body = shapes.form(
            ("settings",), settings=shapes.ANYTHING, dry_run=shapes.nullable(shapes.FLAG)
        )
        return [
            Endpoint(
                "GET", "/settings", self.current, "The settings in force, and where each comes from.",
                answer(shown), query=(AT,),
            ),
            Endpoint(
                "PATCH", "/settings", self.change, "Change settings; needs `X-Reason`.",
                answer(made), headers=(evolve(REASON, required=True),), body=body,
            ),
            Endpoint(
                "GET", "/settings/history", self.history, "The changes of settings.",
                answer(shapes.page("changes", change, shapes.SEQ, previous=shapes.nullable(shapes.SEQ))),
                query=(params.AFTER_SEQ, params.LIMIT, params.LAST, params.BEFORE_SEQ, AT),
            ),
        ]  # fmt: skip

    async def current(self) -> Response:
        """Shows the settings, the seq of the event that put them in force, and the origin of each
        by its key in the configuration; `by` null = its file.
        """
        params.only(request.args, "at")
        found = await self.reads.one(ReadModel.settings)
        keys = await shaped(found.keys, _key_json)
        return await json_object({"seq": found.seq, "settings": found.data, "keys": keys})

    async def change(self) -> Response:
        """Changes settings, by their keys in the configuration. `dry_run`: only tells what would
        change.
        """
        given = await bodies.members("settings", "dry_run")
        values, dry_run = given.get("settings"), given.get("dry_run")
        if not isinstance(values, dict):
            raise Problem(422, 'settings: expected an object such as {"policy.max_peers": 1000}')
        if not isinstance(dry_run, bool | None):
            raise Problem(422, "dry_run: expected true or false")
        with commanded():
            made = await self.commands.change_settings(values, actor(), dry_run=bool(dry_run))
        changed = [
            {"key": one.key, "value": one.after, "before": one.before} for one in made.differences
        ]
        return json_text(encode({"seq": made.seq, "changed": changed}))

    async def history(self) -> Response:
        """Lists the changes, the oldest first; the values are the new ones.

        `last`: only so many of the newest.
        """
        given = params.only(request.args, "after", "limit", "last", "before", "at")
        last = params.last(given)
        if last is not None:
            return await self._last(given, last)
        after = params.whole("after", given["after"], SEQ_MAX) if "after" in given else -1
        found = self.reads.each(ReadModel.settings_changes, after)
        taken, more = await gather(found, params.limit(given), lambda _: True)
        return await _changes(taken, following=taken[-1].seq if more else None)

    async def _last(self, given: dict[str, str], last: int) -> Response:
        """Lists the last changes; the state remembers a thousand, so all are looked at."""
        before = params.whole("before", given["before"], SEQ_MAX) if "before" in given else SEQ_MAX
        found = self.reads.each(ReadModel.settings_changes, -1)
        every, _ = await gather(found, SEQ_MAX, lambda one: one.seq < before)
        taken = every[-last:]
        return await _changes(taken, previous=taken[0].seq if len(every) > last else None)


async def _changes(
    taken: list[SettingsChanged], *, following: int | None = None, previous: int | None = None
) -> Response:
    shown = await shaped(taken, _change_json)
    return await json_object({"changes": shown, "next": following, "previous": previous})


def _key_json(one: SettingInForce) -> dict[str, Any]:
    origin = one.origin
    return {
        "key": one.key,
        "value": one.value,
        "file": one.file,
        "seq": origin and origin.seq,
        "time": origin and rfc3339(origin.time_us),
        "by": origin and origin.by,
        "reason": origin.reason if origin else "",
    }


def _change_json(one: SettingsChanged) -> dict[str, Any]:
    return {
        "seq": one.seq,
        "time": rfc3339(one.time_us),
        "by": one.by,
        "reason": one.reason,
        "settings": one.values,
    }

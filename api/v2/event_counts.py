"""Serves how many events of each type there were, in version 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from quart import request

from api.endpoint import Endpoint, Parameter, answer
from api.openapi import shapes
from api.streams import json_object, shaped
from api.times import rfc3339
from api.v2 import params
from api.v2.events import EVENTS_TIMEOUT, PART, part
from api.v2.ledgers import allow_time
from api.v2.problems import Problem

if TYPE_CHECKING:
    from api.replies import Response
    from tracker import ports
    from tracker.ports import LogPart

_SECOND: Final = 1_000_000
_MOST_PIECES: Final = 1000
_MOST_SECONDS: Final = 10**9
STEP: Final = Parameter(
    name="step",
    schema={"type": "integer", "minimum": 1, "maximum": _MOST_SECONDS},
    description="seconds of a piece; needs two times, `from` and `to`",
)


@frozen
class EventCounts:
    log: ports.Events

    def endpoints(self) -> list[Endpoint]:
        types = {"type": "object", "additionalProperties": shapes.WHOLE}
        time = shapes.nullable(shapes.TIME)
        piece = shapes.record(**{"from": time, "until": time, "types": types})
        counted = shapes.page("counts", piece, shapes.SEQ, end=shapes.SEQ)
        return [
            Endpoint(
                "GET", "/events/counts", self.count, "How many events of each type there are.",
                answer(counted), query=(params.AFTER_SEQ, STEP, *PART),
            )
        ]  # fmt: skip

    async def count(self) -> Response:
        """Counts the events of a part of the log by type. `step`: in each piece of time by itself.

        Where counting takes long there is a `next`: the counts of all pages add up.
        """
        given = params.only(request.args, "after", "from", "to", "step")
        wanted, step_us = part(given), None
        if "step" in given:
            step_us = _SECOND * params.whole("step", given["step"], _MOST_SECONDS)
        starts = _starts(wanted, step_us)
        allow_time(EVENTS_TIMEOUT)
        page = await self.log.count(wanted, step_us)

        def piece(number: int) -> dict[str, Any]:
            types = dict(sorted(page.counts.get(number, {}).items()))
            return {**_piece(wanted, starts[number], step_us), "types": types}

        counts = await shaped(range(len(starts)), piece)
        following = None if page.following is None else page.following - 1
        return await json_object({"counts": counts, "next": following, "end": page.end})


def _starts(wanted: LogPart, step_us: int | None) -> range:
    """Returns where the pieces begin, in Unix microseconds; a single one without steps."""
    if step_us is None:
        return range(1)
    if not step_us or wanted.from_us is None or wanted.to_us is None:
        raise Problem(400, "step: expected a number of seconds, with two times, `from` and `to`")
    starts = range(wanted.from_us, wanted.to_us + 1, step_us)
    if len(starts) > _MOST_PIECES:
        raise Problem(
            400, f"step: there would be more than {_MOST_PIECES} pieces; give a longer one"
        )
    return starts


def _piece(wanted: LogPart, start: int, step_us: int | None) -> dict[str, Any]:
    """Returns the times of a piece: where it begins, and before when it ends."""
    if step_us is None:
        return {"from": None, "until": None}
    end = min(start + step_us, (wanted.to_us or 0) + 1)
    return {"from": rfc3339(start), "until": rfc3339(end)}

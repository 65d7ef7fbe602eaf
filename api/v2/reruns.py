"""Serves re-runs of a part of the log in version 2: is it decided today as it was then, and what if
the rules had been others.

A part begins at `from` and ends at `to`. No answer has addresses.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from attrs import frozen
from quart import request

from api.endpoint import Endpoint, Parameter, answer
from api.openapi import shapes
from api.streams import json_object
from api.v2 import params
from api.v2.events import PART, moment
from api.v2.ledgers import allow_time
from api.v2.problems import Problem
from tracker.ports import InvalidPartError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.replies import Response
    from tracker import ports

_PART: Final = {"first": shapes.SEQ, "last": shapes.SEQ}
_COUNTS: Final = dict.fromkeys(
    ("as_recorded", "differing", "brought_about", "inputs"), shapes.WHOLE
)
_OUTCOME: Final = shapes.record(
    seq=shapes.SEQ, time=shapes.TIME, type=shapes.STRING, outcome=shapes.STRING,
    why=shapes.nullable(shapes.STRING),
    differences=shapes.array(shapes.record(what=shapes.STRING)),
)  # fmt: skip
_CHECK: Final = shapes.record(
    **_PART, **_COUNTS, not_decided=shapes.ANYTHING, whole=shapes.FLAG,
    outcomes=shapes.array(_OUTCOME),
)  # fmt: skip
_WHAT_IF: Final = shapes.record(
    **_PART, announces=shapes.WHOLE, accounts=shapes.array(shapes.ANYTHING),
    left_out=shapes.array(shapes.STRING),
    **dict.fromkeys(
        ("settings", "refused", "recorded", "now", "credit", "not_recorded"), shapes.ANYTHING
    ),
)  # fmt: skip
_FLAGS: Final = {"true": True, "false": False}


@frozen
class Reruns:
    log: ports.Reruns

    def endpoints(self) -> list[Endpoint]:
        trace = Parameter(
            name="trace",
            schema=shapes.FLAG,
            description="tell every outcome, not only differing ones",
        )
        settings = Parameter(
            name="set", schema=shapes.array(shapes.STRING), required=True,
            description="a setting, such as policy.max_peers=7; repeatable",
        )  # fmt: skip
        return [
            Endpoint(
                "GET", "/replay/check", self.check,
                "Whether a part of the log is decided today as it was then.", answer(_CHECK),
                query=(*PART, trace),
            ),
            Endpoint(
                "GET", "/what-if", self.what_if,
                "What a part of the log would have been by other settings.", answer(_WHAT_IF),
                query=(*PART, settings),
            ),
        ]  # fmt: skip

    async def check(self) -> Response:
        """Decides the events of a part again, and compares each outcome with the recorded one."""
        given = params.only(request.args, "from", "to", "trace")
        if given.get("trace", "false") not in _FLAGS:
            raise Problem(400, "trace: expected true or false")
        trace = _FLAGS[given.get("trace", "false")]
        first, last = moment(given, "from"), moment(given, "to")
        allow_time()
        with _valid():
            found = await self.log.check(first, last, trace=trace)
        return await json_object(found)

    async def what_if(self) -> Response:
        """Replays a part by other settings. A looser rule shows too little, because what was
        refused was not recorded.
        """
        given = params.only(request.args, "from", "to", repeated=("set",))
        settings = request.args.getlist("set")
        if not settings:
            raise Problem(400, "set: expected a setting, such as policy.max_peers=7")
        first, last = moment(given, "from"), moment(given, "to")
        allow_time()
        with _valid():
            found = await self.log.what_if(first, last, settings)
        return await json_object(found)


@contextmanager
def _valid() -> Iterator[None]:
    """Refuses a part or a setting that cannot be asked about."""
    try:
        yield
    except InvalidPartError as error:
        raise Problem(400, str(error)) from error

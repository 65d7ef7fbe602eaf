"""The tracker's counters (contract, section 1.5), as JSON or as lines for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from quart import request

from api.errors import invalid_query
from api.params import single
from api.replies import encode, json_text, text

if TYPE_CHECKING:
    from api.replies import Response
    from tracker.ports import History


@attrs.frozen
class Statistics:
    history: History

    async def stats(self) -> Response:
        """`format` is `json` (default) or `prometheus`."""
        wanted = single(request.args, "format") or "json"
        if wanted not in {"json", "prometheus"}:
            raise invalid_query(f"unknown variant `{wanted}`, expected `json` or `prometheus`")
        counters = attrs.asdict(self.history.at().stats())
        return json_text(encode(counters)) if wanted == "json" else text(_lines(counters))


def _lines(counters: dict[str, int]) -> str:
    return "\n".join(f"{name} {value}" for name, value in counters.items())

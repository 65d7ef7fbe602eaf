"""`tracker hit-and-run` says so where it has nothing to list, because a copy may lack its book."""

from __future__ import annotations

import pytest

from tests.tracker.cli.api_server import Api, run


@pytest.mark.parametrize(
    "line", ["list --state violated", "pardon --from 2027-01-01 --preview --reason why"]
)
def test_nothing_to_list(
    api: Api, config: str, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    api.answer = b'{"downloads":[],"next":null,"seq":-1}'
    code, out, err = run(capsys, "hit-and-run", *line.split(), "--config", config)
    assert (code, out) == (0, "")
    assert err.startswith("note: nothing is judged of what was asked for")
    assert run(capsys, "hit-and-run", *line.split(), "--json", "--config", config)[2] == ""

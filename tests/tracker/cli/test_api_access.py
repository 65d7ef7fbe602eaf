"""The command line finds the API and its token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tracker.cli.api_server import Api, run, serving, write_config
from tracker.cli.api_client import ApiError, endpoint_at, endpoint_of
from tracker.config import Address, HttpApi

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "token"),
    [(["--token", "Mine"], "Mine"), (["--token-label", "second"], "Token2")],
    ids=["token", "label"],
)
def test_a_given_token_replaces_the_first_configured_one(
    api: Api, config: str, capsys: pytest.CaptureFixture[str], arguments: list[str], token: str
) -> None:
    run(capsys, "stats", "--config", config, *arguments)
    assert api.requests[0].headers["authorization"] == f"Bearer {token}"


def test_url_and_token_need_no_configuration(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--url` and `--token` work without a configuration, through a proxy's path too."""
    missing = str(tmp_path / "none.toml")
    url = f"{api.url}/prefix/"
    code, _, _ = run(capsys, "stats", "--config", missing, "--url", url, "--token", "Mine")
    assert code == 0
    assert api.requests[0].path == "/prefix/api/v1/stats"
    assert run(capsys, "stats", "--config", missing, "--url", url)[0] == 1


def test_a_tracker_that_does_not_run_is_reported_in_one_line(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Api()) as gone:
        pass
    code, out, err = run(capsys, "stats", "--config", config, "--url", gone.url)
    assert (code, out) == (1, "")
    assert "is the tracker running?" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("extra", "arguments", "words"),
    [
        ("", ["--token-label", "third"], "has no label third; it has first, second"),
        ("", [], "names no port"),
        ("", ["--url", "ftp://x"], "--url: expected"),
    ],
    ids=["label", "port", "url"],
)
def test_an_unusable_api_address_is_refused_before_any_request(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    extra: str,
    arguments: list[str],
    words: str,
) -> None:
    path = write_config(
        tmp_path, "127.0.0.1:0" if words == "names no port" else "127.0.0.1:1", extra
    )
    code, _, err = run(capsys, "stats", "--config", str(path), *arguments)
    assert code == 1
    assert words in err


def test_no_api_configured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an API in the configuration the message names the options that replace it."""
    path = write_config(tmp_path, "127.0.0.1:1")
    path.write_text(path.read_text().partition("[http_api]")[0])
    code, _, err = run(capsys, "stats", "--config", str(path))
    assert (code, err) == (
        1,
        "tracker: the configuration has no [http_api]: give --url and --token\n",
    )


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        (Address("0.0.0.0", 7), "http://127.0.0.1:7"),  # noqa: S104  # nothing binds to it
        (Address("::", 7), "http://[::1]:7"),
        (Address("192.0.2.1", 7), "http://192.0.2.1:7"),
        (Address("2001:db8::1", 7), "http://[2001:db8::1]:7"),
    ],
    ids=str,
)
def test_a_wildcard_address_is_reached_on_loopback(bind: Address, url: str) -> None:
    """A wildcard address is reached on loopback, and any other address as it is."""
    assert endpoint_of(HttpApi(bind_address=bind)).url == url


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:1212", "http://", "http://h:0", "http://h:x", "http://u@h", "http://h/?a=1"],
)
def test_an_unusable_url_is_refused(url: str) -> None:
    """A URL needs a scheme and a host, and may have a port and a path."""
    with pytest.raises(ApiError, match="--url: expected"):
        endpoint_at(url)

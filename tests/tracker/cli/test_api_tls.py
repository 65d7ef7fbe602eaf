"""The command line trusts the configured certificate and no other."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from tests.e2e.certificates import make
from tests.tracker.cli.api_server import Api, run, serving, write_config

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def served_with(folder: Path, name: str) -> tuple[ssl.SSLContext, str]:
    """Returns the server's TLS context for a new certificate, and the configuration that names
    it."""
    files = make(name).write(folder, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    return context, f"tls_config = {files}"


def test_the_configured_certificate_is_trusted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The client trusts the configured certificate whatever its name, also when the file holds a
    chain."""
    context, files = served_with(tmp_path, "tracker")
    with (tmp_path / "tracker.crt").open("ab") as chain:
        chain.write(make("issuer").cert)
    with serving(Api(answer=b'{"torrents":0}'), context, "127.0.0.2") as api:
        path = write_config(tmp_path, f"127.0.0.2:{api.port}", files)
        assert run(capsys, "stats", "--config", str(path)) == (0, "torrents 0\n", "")
    assert len(api.requests) == 1


def test_another_certificate_never_gets_the_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server with another certificate never gets the token, at the configured port or at a
    URL."""
    context, _ = served_with(tmp_path, "impostor")
    _, files = served_with(tmp_path, "tracker")
    with serving(Api(), context) as api:
        path = write_config(tmp_path, f"127.0.0.1:{api.port}", files)
        for arguments in ([], ["--url", f"https://127.0.0.1:{api.port}"]):
            code, _, err = run(capsys, "stats", "--config", str(path), *arguments)
            assert code == 1
            assert "its certificate is not trusted" in err
    assert api.requests == []


def test_https_to_a_plain_port_fails_with_one_line(
    api: Api, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = api.url.replace("http", "https")
    code, _, err = run(capsys, "stats", "--config", config, "--url", url)
    assert code == 1
    assert "TLS failed" in err
    assert err.count("\n") == 1

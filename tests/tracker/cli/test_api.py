"""`tracker key`, `whitelist`, `stats` against a server that only remembers: what is asked of whom,
what is printed."""

from __future__ import annotations

import json
import ssl
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from attrs import define, field

from tests.e2e.certificates import make
from tracker.cli import main
from tracker.cli.api_client import ApiError, endpoint_at, endpoint_of
from tracker.config import Address, HttpApi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
HASHES = ("ab" * 20, "cd" * 20)
KEY_HASH = sha256(KEY.encode()).hexdigest()
SHOWN = {"key_ref": 7, "state": "valid", "valid_until": None, "owner": None, "label": None}
ISSUED = {"key": KEY, **SHOWN}
DEADLINE = 60


@define
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@define
class Api:
    """What answers; `port` is of 127.0.0.1."""

    port: int = 0
    status: int = 200
    answer: bytes = b'{"status":"ok"}'
    answers: dict[str, object] = field(factory=dict)  # JSON by method and path, before `answer`
    asked: list[Asked] = field(factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(api: Api, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Api]:
    class Handler(BaseHTTPRequestHandler):
        timeout = DEADLINE

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            api.asked.append(Asked(self.command, self.path, headers, body))
            known = api.answers.get(f"{self.command} {self.path}")
            body = api.answer if known is None else json.dumps(known).encode()
            self.send_response(api.status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  # the base class's way

        def log_message(self, *_: object) -> None:
            pass

    class Server(HTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # a client that does not trust us hangs up

    with Server((host, 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        api.port = server.server_port
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield api
        server.shutdown()
        thread.join(DEADLINE)


@pytest.fixture
def api() -> Iterator[Api]:
    with serving(Api()) as one:
        yield one


def write_config(folder: Path, bind: str, extra: str = "") -> Path:
    path = folder / "tracker.toml"
    path.write_text(
        'metadata.schema_version = "2.0.0"\nlogging.threshold = "info"\ncore.listed = false\n'
        f'core.private = false\n[http_api]\nbind_address = "{bind}"\n{extra}\n'
        '[http_api.access_tokens]\nfirst = "Token1"\nsecond = "Token2"\n'
    )
    return path


@pytest.fixture
def config(api: Api, tmp_path: Path) -> str:
    """Binds to every address: the client has to find the API on loopback."""
    return str(write_config(tmp_path, f"0.0.0.0:{api.port}"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("arguments", "form"),
    [
        ([], {}),
        (["--permanent"], {}),
        (["--seconds", "60"], {"seconds": 60}),
        (["--seconds", "0", "--key", KEY], {"key": KEY, "seconds": 0}),
        (["--owner", "anna", "--label", "für zuhause"], {"owner": "anna", "label": "für zuhause"}),
    ],
    ids=["default", "permanent", "seconds", "given", "names"],
)
def test_key_add(
    api: Api,
    config: str,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    form: dict[str, object],
) -> None:
    """The key alone is printed, so that a script can take it."""
    api.answer = json.dumps(ISSUED).encode()
    assert run(capsys, "key", "add", "--config", config, *arguments) == (0, f"{KEY}\n", "")
    (asked,) = api.asked
    assert (asked.method, asked.path) == ("POST", "/api/v2/keys")
    assert json.loads(asked.body) == form
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["authorization"] == "Bearer Token1"
    assert "x-reason" not in asked.headers


def test_key_add_json(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """All that the API said, in one line."""
    api.answer = json.dumps(ISSUED, indent=1).encode()
    code, out, _ = run(capsys, "--config", config, "key", "add", "--json")
    assert code == 0
    assert out.count("\n") == 1
    assert json.loads(out) == ISSUED


@pytest.mark.parametrize(
    ("arguments", "asked", "out"),
    [
        (["key", "revoke", "7"], [("DELETE", "keys/7")], "revoked 7\n"),
        (
            ["whitelist", "add", HASHES[0].upper(), HASHES[1]],
            [("PUT", f"whitelist/{one}") for one in HASHES],
            "".join(f"whitelisted {one}\n" for one in HASHES),
        ),
        (
            ["factor", "end", "4", "5"],
            [("DELETE", "factors/4"), ("DELETE", "factors/5")],
            "ended 4\nended 5\n",
        ),
        (
            ["whitelist", "remove", "--json", *HASHES],
            [("DELETE", f"whitelist/{one}") for one in HASHES],
            "".join(f'{{"delisted":"{one}"}}\n' for one in HASHES),
        ),
    ],
    ids=["revoke", "whitelist", "factor", "delist"],
)
def test_changes(
    api: Api,
    config: str,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    asked: list[tuple[str, str]],
    out: str,
) -> None:
    """One request for each, one line for each; the reason goes with every one of them."""
    arguments = [*arguments, "--config", config, "--reason", "gone – für immer"]
    assert run(capsys, *arguments) == (0, out, "")
    assert [(one.method, one.path) for one in api.asked] == [
        (method, f"/api/v2/{path}") for method, path in asked
    ]
    for one in api.asked:
        assert one.headers["x-reason"].encode("latin-1").decode() == "gone – für immer"


FACTOR = {
    "factor": 3, "seq": 9, "account": None, "info_hash": HASHES[0], "upload_percent": None, "download_percent": 0,
    "from": "2027-01-15T08:00:00.000000Z", "until": None, "label": "freeleech",
}  # fmt: skip
OWNED = {"keys": [{**SHOWN, "account": 2}], "next": None}
NOBODY = {"keys": [], "next": None}


def test_factors(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Set by terms, of which those that were not given are not sent; listed as columns, or JSON."""
    api.answers["POST /api/v2/factors"] = FACTOR
    api.answers["GET /api/v2/factors?limit=200"] = {"factors": [FACTOR], "next": None}
    api.answers["GET /api/v2/keys?owner=anna&limit=200"] = OWNED
    told = ["--torrent", HASHES[0], "--download", "0", "--label", "freeleech", "--account", "anna"]
    times = ["--until", "2027-02-01T00:00:00Z", "--reason", "a party"]
    assert run(capsys, "factor", "set", "--config", config, *told, *times) == (0, "3\n", "")
    asked = api.asked[-1]
    assert json.loads(asked.body) == {
        "account": 2, "info_hash": HASHES[0], "download_percent": 0, "label": "freeleech",
        "until": "2027-02-01T00:00:00Z",
    }  # fmt: skip
    assert asked.headers["x-reason"] == "a party"
    line = f"3\tall\t{HASHES[0]}\t-\t0\t2027-01-15T08:00:00.000000Z\t-\tfreeleech\n"
    assert run(capsys, "factor", "list", "--config", config) == (0, line, "")
    code, out, _ = run(capsys, "factor", "list", "--config", config, "--json")
    assert (code, json.loads(out)) == (0, FACTOR)


def test_accounts(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By owner, or by number where nobody is called that; a correction says why, and once."""
    api.answers["GET /api/v2/keys?owner=anna&limit=200"] = OWNED
    api.answers["GET /api/v2/keys?owner=2&limit=200"] = NOBODY
    api.answers["GET /api/v2/keys?owner=bert&limit=200"] = NOBODY
    api.answers["GET /api/v2/accounts/2"] = {"account": 2, "uploaded": 7, "last_seen": None}
    api.answers["POST /api/v2/accounts/2/corrections"] = {"seq": 70, "account": {}}
    for who in ("anna", "2"):
        shown = run(capsys, "account", "show", "--config", config, who)
        assert shown == (0, "account 2\nuploaded 7\nlast_seen -\n", "")
    code, _, err = run(capsys, "account", "show", "--config", config, "bert")
    assert (code, "no key was issued to an owner bert" in err) == (1, True)
    asked = ["correct", "anna", "--uploaded", "-5", "--corrects", "55", "--idempotency-key", "t-7"]
    done = run(capsys, "account", *asked, "--config", config, "--reason", "twice")
    assert done == (0, "70\n", "")
    sent = api.asked[-1]
    assert json.loads(sent.body) == {"uploaded": -5, "corrects": 55}
    assert (sent.headers["x-reason"], sent.headers["idempotency-key"]) == ("twice", "t-7")


@pytest.mark.parametrize(
    "arguments",
    [["factor", "set", "--upload", "10001"], ["factor", "set", "--upload", "-1"], ["factor", "end"],
     ["factor", "end", "x"], ["account", "correct", "1", "--corrects", "5"],
     ["account", "correct", "1", "--reason", "x"], ["account", "show"]],
)  # fmt: skip
def test_credit_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be meant is refused before anybody is asked; a correction needs its event and a
    reason."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: tracker" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "out"),
    [([], "torrents 1\nseeders 2\n"), (["--json"], '{"torrents":1,"seeders":2}\n')],
)
def test_stats(
    api: Api, config: str, capsys: pytest.CaptureFixture[str], arguments: list[str], out: str
) -> None:
    """A name and a number a line, in the API's order; or its JSON."""
    api.answer = b'{"torrents": 1, "seeders": 2}'
    assert run(capsys, "stats", "--config", config, *arguments) == (0, out, "")
    assert api.asked[0].path == "/api/v1/stats"


METRICS = (
    b'{"metrics":[{"kind":"gauge","name":"a","help":"A.","samples":[{"value":0.5,"labels":[]}]},'
    b'{"kind":"gauge","name":"b","help":"B.","samples":[]},{"kind":"counter","name":"c_total","help":"C.",'
    b'"samples":[{"value":7,"labels":[{"name":"x","value":"1"},{"name":"y","value":"2"}]}]}]}'
)


def test_metrics(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Name, value and labels a line; as JSON an object a metric.

    Something else than a list is no tracker's.
    """
    api.answer = METRICS
    out = "a 0.5\nc_total 7 x=1 y=2\n"
    assert run(capsys, "stats", "--config", config, "--metrics") == (0, out, "")
    assert api.asked[0].path == "/api/v1/metrics"
    _, out, _ = run(capsys, "stats", "--config", config, "--metrics", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines == json.loads(METRICS)["metrics"]
    api.answer = b'{"metrics": 1}'
    code, _, err = run(capsys, "stats", "--config", config, "--metrics")
    assert (code, "is not a tracker's API" in err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "token"),
    [(["--token", "Mine"], "Mine"), (["--token-label", "second"], "Token2")],
    ids=["token", "label"],
)
def test_token(
    api: Api, config: str, capsys: pytest.CaptureFixture[str], arguments: list[str], token: str
) -> None:
    """Another token than the first configured one."""
    run(capsys, "stats", "--config", config, *arguments)
    assert api.asked[0].headers["authorization"] == f"Bearer {token}"


def test_url_and_token_need_no_configuration(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From another machine, behind a proxy's path."""
    missing = str(tmp_path / "none.toml")
    url = f"{api.url}/prefix/"
    code, _, _ = run(capsys, "stats", "--config", missing, "--url", url, "--token", "Mine")
    assert code == 0
    assert api.asked[0].path == "/prefix/api/v1/stats"
    assert run(capsys, "stats", "--config", missing, "--url", url)[0] == 1


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (500, 'Unhandled rejection: Err { reason: "token not valid" }', "refused the access token"),
        (500, 'Unhandled rejection: Err { reason: "unauthorized" }', "without an access token"),
        (401, '{"status":401}', "the API refused the access token"),
        (403, '{"status":403,"detail":"may only read"}', "the API refused: may only read"),
        (404, '{"title":"Not Found","status":404}', "the API refused: Not Found"),
        (410, '{"status":410,"detail":"that key is\\nrevoked"}', "refused: that key is revoked"),
        (
            500,
            'Unhandled rejection: Err { reason: "the disk\nis full" }',
            "refused: the disk is full",
        ),
        (400, "Invalid URL: something", "the API refused: Invalid URL: something"),
        (404, "", "says 404: is it a tracker's API?"),
    ],
    ids=["token", "none", "401", "403", "title", "410", "other", "400", "404"],
)
def test_refusals(
    api: Api,
    config: str,
    capsys: pytest.CaptureFixture[str],
    status: int,
    answer: str,
    words: str,
) -> None:
    """Every refusal is one line that says what is wrong, and exit code 1; no token in it."""
    api.status, api.answer = status, answer.encode()
    code, out, err = run(capsys, "key", "revoke", "7", "--config", config)
    assert (code, out) == (1, "")
    assert err.startswith("tracker: ")
    assert err.count("\n") == 1
    assert words in err
    assert "Token1" not in err


@pytest.mark.parametrize("command", ["stats", "key rotate 7", "key list", "whitelist list"])
@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'"x"'])
def test_answers_of_something_else(
    api: Api, config: str, capsys: pytest.CaptureFixture[str], command: str, answer: bytes
) -> None:
    """Whatever says 200 there is no API of a tracker."""
    api.answer = answer
    code, out, err = run(capsys, "--config", config, *command.split())
    assert (code, out) == (1, "")
    assert "is not a tracker's API" in err


def test_key_by_itself(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A key is looked up by its hash, so that it is in no URL; then its number is used."""
    api.answers = {
        f"GET /api/v2/keys?key_hash={KEY_HASH}&limit=200": {"keys": [SHOWN], "next": None},
        "POST /api/v2/keys/7/rotate": ISSUED,
    }
    assert run(capsys, "--config", config, "key", "rotate", KEY) == (0, f"{KEY}\n", "")
    code, out, _ = run(capsys, "--config", config, "key", "rotate", "7", "--json")
    assert (code, json.loads(out)) == (0, ISSUED)
    assert run(capsys, "--config", config, "key", "revoke", KEY) == (0, f"revoked {KEY}\n", "")
    assert all(KEY not in one.path for one in api.asked)
    assert api.asked[-1].method == "DELETE"


@pytest.mark.parametrize("found", [[], [{**SHOWN, "state": "revoked"}]], ids=["none", "revoked"])
def test_key_that_is_not_there(
    api: Api, config: str, capsys: pytest.CaptureFixture[str], found: list[object]
) -> None:
    """Nothing to revoke: one line."""
    api.answer = json.dumps({"keys": found, "next": None}).encode()
    code, _, err = run(capsys, "key", "revoke", KEY, "--config", config)
    assert (code, err) == (1, "tracker: that key was never issued, or is revoked already\n")
    assert len(api.asked) == 1


def test_key_list(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Page after page, one key a line; the filters go with every request."""
    path = "GET /api/v2/keys?owner=an%26na&state=valid&limit=200"
    named = {**SHOWN, "key_ref": 8, "valid_until": "2027-01-01T00:00:00.000000Z", "owner": "an&na"}
    api.answers = {
        path: {"keys": [SHOWN], "next": 7},
        f"{path}&after=7": {"keys": [named], "next": None},
    }
    arguments = ["--config", config, "key", "list", "--owner", "an&na", "--state", "valid"]
    lines = "7\tvalid\tpermanent\t-\t\n8\tvalid\t2027-01-01T00:00:00.000000Z\tan&na\t\n"
    assert run(capsys, *arguments) == (0, lines, "")
    code, out, _ = run(capsys, *arguments, "--json")
    assert (code, [json.loads(line) for line in out.splitlines()]) == (0, [SHOWN, named])


def test_whitelist_list(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One hash a line."""
    api.answer = json.dumps({"whitelist": HASHES, "next": None}).encode()
    assert run(capsys, "--config", config, "whitelist", "list") == (0, "\n".join(HASHES) + "\n", "")
    _, out, _ = run(capsys, "--config", config, "whitelist", "list", "--json")
    assert [json.loads(line) for line in out.splitlines()] == [{"info_hash": one} for one in HASHES]


def test_whitelist_stops_at_the_first_refusal(
    api: Api, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was done is printed, what was not is not."""
    api.status, api.answer = 500, b"no"
    assert run(capsys, "whitelist", "add", *HASHES, "--config", config)[:2] == (1, "")
    assert len(api.asked) == 1


def test_nobody_listens(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The tracker does not run: that is what is asked about."""
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
def test_wrong_directions(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    extra: str,
    arguments: list[str],
    words: str,
) -> None:
    """What cannot be asked is said before anybody is."""
    path = write_config(
        tmp_path, "127.0.0.1:0" if words == "names no port" else "127.0.0.1:1", extra
    )
    code, _, err = run(capsys, "stats", "--config", str(path), *arguments)
    assert code == 1
    assert words in err


def test_no_api_configured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration without an API: the options that replace it are named."""
    path = write_config(tmp_path, "127.0.0.1:1")
    path.write_text(path.read_text().partition("[http_api]")[0])
    code, _, err = run(capsys, "stats", "--config", str(path))
    assert (code, err) == (
        1,
        "tracker: the configuration has no [http_api]: give --url and --token\n",
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["key"],
        ["key", "add", "--key", "short"],
        ["key", "add", "--seconds", "-1"],
        ["key", "add", "--seconds", "1", "--permanent"],
        ["key", "revoke", "../" + "a" * 29],
        ["key", "revoke", KEY, "--reason", "two\nlines"],
        ["key", "revoke", "0"],
        ["key", "rotate", "99999999999"],
        ["key", "list", "--state", "odd"],
        ["whitelist", "add"],
        ["whitelist", "add", "xyz"],
        ["stats", "--token", "a", "--token-label", "b"],
    ],
    ids=" ".join,
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Exit code 2, and nobody is asked."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: " in capsys.readouterr().err


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
def test_where_the_api_is(bind: Address, url: str) -> None:
    """A wildcard is asked on loopback, any other address as it is."""
    assert endpoint_of(HttpApi(bind_address=bind)).url == url


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:1212", "http://", "http://h:0", "http://h:x", "http://u@h", "http://h/?a=1"],
)
def test_urls_that_are_none(url: str) -> None:
    """Only a scheme, a host, and perhaps a port and a path."""
    with pytest.raises(ApiError, match="--url: expected"):
        endpoint_at(url)


# TLS.


def served_with(folder: Path, name: str) -> tuple[ssl.SSLContext, str]:
    """A server's side of TLS with a new certificate, and the configuration of one that has it."""
    files = make(name).write(folder, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    return context, f"tls_config = {files}"


def test_tls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The configured certificate is trusted, whoever it names; the file may hold a chain after
    it."""
    context, files = served_with(tmp_path, "tracker")
    with (tmp_path / "tracker.crt").open("ab") as chain:
        chain.write(make("issuer").cert)
    with serving(Api(answer=b'{"torrents":0}'), context, "127.0.0.2") as api:
        path = write_config(tmp_path, f"127.0.0.2:{api.port}", files)
        assert run(capsys, "stats", "--config", str(path)) == (0, "torrents 0\n", "")
    assert len(api.asked) == 1


def test_tls_of_somebody_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever has another certificate never sees the token: neither on our port nor at a URL."""
    context, _ = served_with(tmp_path, "impostor")
    _, files = served_with(tmp_path, "tracker")
    with serving(Api(), context) as api:
        path = write_config(tmp_path, f"127.0.0.1:{api.port}", files)
        for arguments in ([], ["--url", f"https://127.0.0.1:{api.port}"]):
            code, _, err = run(capsys, "stats", "--config", str(path), *arguments)
            assert code == 1
            assert "its certificate is not trusted" in err
    assert api.asked == []


def test_plain_where_tls_is_expected(
    api: Api, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """https to a port that speaks http: one line."""
    url = api.url.replace("http", "https")
    code, _, err = run(capsys, "stats", "--config", config, "--url", url)
    assert code == 1
    assert "TLS failed" in err
    assert err.count("\n") == 1

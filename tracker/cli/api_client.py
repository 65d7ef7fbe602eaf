"""A blocking client of the tracker's REST API, for the commands that use it.

Every failure raises an `ApiError` whose text is one line for the user. It knows only what
docs/api.md says, and nothing of the service or the log.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import attrs
from attrs import field, frozen

from api.health.services import local_host
from api.trust import trusting
from eventlog import parse_json
from tracker.config import UnixAddress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracker.config import HttpApi
    from tracker.offline.viewer import Viewer

TIMEOUT_SECONDS = 30
KEY_REF = r"[1-9][0-9]{0,9}"
"""A text that is a key's number, and not a key."""
_MAX_ANSWER = 1 << 20  # bytes
_PAGE = 200  # items of a page: with the longest names they fit into _MAX_ANSWER

# Texts of version 1 (docs/api.md), and what to print for them.
_TOKEN_REFUSED = "the API refused the access token"  # noqa: S105  # a sentence
_MEANINGS = {
    'reason: "unauthorized"': "the API refused the request: it came without an access token",
    'reason: "token not valid"': _TOKEN_REFUSED,
    'reason: "unknown token provided"': _TOKEN_REFUSED,
}


class ApiError(Exception):
    """The API cannot be reached, or it refused; the text says which, in one line."""


@frozen
class Endpoint:
    """The address of an API, and the certificate to trust."""

    url: str  # scheme, host, port and perhaps a path; without a slash at the end
    certificate: str | None = None  # a PEM file: the only certificate to trust, whatever its names
    socket: str | None = None  # path of a Unix socket to connect to instead of the host


@frozen
class Client:
    """A client with one token.

    `reason` is recorded with every change; `idempotency_key` makes it safe to repeat one. "" =
    none.
    """

    endpoint: Endpoint
    token: str = field(repr=False)
    reason: str = ""
    idempotency_key: str = ""
    viewer: Viewer | None = None  # answers in place of the endpoint

    def stats(self) -> dict[str, int]:
        """Returns the counters of `GET /api/v1/stats`, in its order; of a log without a running
        tracker those in the log. Raises `ApiError`.
        """
        at = f"?at={self.viewer.last_seq}" if self.viewer else ""
        stats: dict[str, int] = self._ask("GET", f"/api/v1/stats{at}", dict)
        return stats

    def metrics(self) -> list[dict[str, Any]]:
        """Returns the metrics of `GET /api/v1/metrics`. Raises `ApiError`."""
        metrics = self._ask("GET", "/api/v1/metrics", dict).get("metrics")
        if not isinstance(metrics, list):
            raise ApiError(f"what answers at {self.endpoint.url} is not a tracker's API")
        return metrics

    def add_key(self, form: Mapping[str, Any]) -> dict[str, Any]:
        """Issues a key: `POST /api/v2/keys` with the members that are not None.

        Raises `ApiError`.
        """
        given = {name: value for name, value in form.items() if value is not None}
        issued: dict[str, Any] = self._ask("POST", "/api/v2/keys", dict, given)
        return issued

    def keys(self, filters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yields every key, page by page, as `GET /api/v2/keys` has it. Raises `ApiError`."""
        return self._pages("keys", filters)

    def listed(
        self, name: str, filters: Mapping[str, str], path: str = ""
    ) -> Iterator[dict[str, Any]]:
        """Yields the rows of a list of version 2, page by page: `accounts`, `torrents` and so on.

        `path`: where it is, if it has not the name of its rows. Raises `ApiError`.
        """
        return self._pages(name, filters, path)

    def unregistered(self, days: int) -> Iterator[dict[str, Any]]:
        """Yields the torrents that were refused in the last days. Raises `ApiError`."""
        query = {"days": str(days)}
        while True:
            path = f"/api/v2/lists/unregistered?{urlencode(query)}"
            answer = self._ask("GET", path, dict)
            yield from answer["torrents"]
            if answer["next"] is None:
                return
            query["after"] = str(answer["next"])

    def key(self, key: str) -> dict[str, Any]:
        """Returns a key by its text or `key_ref`. Raises `ApiError`."""
        found: dict[str, Any] = self._ask("GET", f"/api/v2/keys/{self._key_ref(key, True)}", dict)
        return found

    def revoke_key(self, key: str) -> None:
        """Revokes `key`: its text, or a `key_ref`. Raises `ApiError`."""
        self._ask("DELETE", f"/api/v2/keys/{self._key_ref(key)}", None)

    def revoke_owner(self, owner: str) -> int:
        """Revokes all keys of an owner; returns how many. Raises `ApiError`."""
        return int(self._ask("POST", "/api/v2/keys/revoke", dict, {"owner": owner})["revoked"])

    def rotate_key(self, key: str) -> dict[str, Any]:
        """Returns a new key in place of `key`, which is a key or a `key_ref`. Raises `ApiError`."""
        path = f"/api/v2/keys/{self._key_ref(key)}/rotate"
        issued: dict[str, Any] = self._ask("POST", path, dict)
        return issued

    def _key_ref(self, key: str, revoked: bool = False) -> int:
        """Finds the key's number by its hash, so that the key itself is in no URL. `revoked`: also
        that of a revoked one.
        """
        if re.fullmatch(KEY_REF, key):
            return int(key)
        found = list(self.keys({"key_hash": sha256(key.encode()).hexdigest()}))
        if not found or (found[0].get("state") == "revoked" and not revoked):
            raise ApiError("that key was never issued, or is revoked already")
        return int(found[0]["key_ref"])

    def whitelist_add(self, info_hash: str) -> None:
        """Whitelists an info hash of 40 hexadecimal digits. Raises `ApiError`."""
        self._ask("PUT", f"/api/v2/whitelist/{info_hash}", dict)

    def whitelist_remove(self, info_hash: str) -> None:
        """Takes an info hash off the whitelist. Raises `ApiError`, also when it is not on it."""
        self._ask("DELETE", f"/api/v2/whitelist/{info_hash}", None)

    def note_export(self, path: str) -> None:
        """Has the tracker log an export of personal data: `POST /api/v2/<path>`. Raises `ApiError`,
        also where the token has no right to addresses.
        """
        self._ask("POST", f"/api/v2/{path}", None)

    def torrent_of(self, text: str) -> str:
        """Returns the info hash of a torrent that is named by it, its beginning, or its label.

        Raises `ApiError` when none is meant, or several are.
        """
        if re.fullmatch("[0-9A-Fa-f]{40}", text):
            return text.lower()
        found = list(self._pages("torrents", {"label": text}))
        if not found and re.fullmatch("[0-9A-Fa-f]{4,39}", text):
            some = self._pages("torrents", {"search": text})
            found = [one for one in some if one["info_hash"].startswith(text.lower())]
        if len(found) == 1:
            return str(found[0]["info_hash"])
        if not found:
            raise ApiError(
                f"no torrent has the label {text}, or an info hash that begins so (4 digits or more)"
            )
        hashes = ", ".join(str(one["info_hash"]) for one in found[:3])
        raise ApiError(f"{len(found)} torrents are called {text}: give an info hash, {hashes} ...")

    def torrent(self, info_hash: str) -> dict[str, Any]:
        """Returns a torrent's counts and facts. Raises `ApiError`."""
        torrent: dict[str, Any] = self._ask("GET", f"/api/v2/torrents/{info_hash}", dict)
        return torrent

    def describe_torrent(self, info_hash: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Says the facts that are not None about a torrent, and returns it. Raises `ApiError`."""
        given = {name: value for name, value in facts.items() if value is not None}
        path = f"/api/v2/torrents/{info_hash}/facts"
        torrent: dict[str, Any] = self._ask("PUT", path, dict, given)
        return torrent

    def describe_torrents(self, torrents: list[object]) -> dict[str, Any]:
        """Says facts about many torrents; returns how many changed. Raises `ApiError`."""
        done: dict[str, Any] = self._ask("POST", "/api/v2/torrents", dict, {"torrents": torrents})
        return done

    def forget_torrent(self, info_hash: str) -> None:
        """Takes back all facts about a torrent. Raises `ApiError`, also if there are none."""
        self._ask("DELETE", f"/api/v2/torrents/{info_hash}/facts", None)

    def set_factor(self, form: Mapping[str, Any]) -> dict[str, Any]:
        """Sets a factor, `POST /api/v2/factors` with the members that are not None, and returns it.

        Raises `ApiError`.
        """
        given = {name: value for name, value in form.items() if value is not None}
        factor: dict[str, Any] = self._ask("POST", "/api/v2/factors", dict, given)
        return factor

    def factors(self) -> Iterator[dict[str, Any]]:
        """Yields the factors in force and to come. Raises `ApiError`."""
        return self._pages("factors", {})

    def end_factor(self, number: int) -> None:
        """Ends a factor now. Raises `ApiError`."""
        self._ask("DELETE", f"/api/v2/factors/{number}", None)

    def group(self, account: int, name: str | None) -> dict[str, Any]:
        """Puts an account into a group, None = into none; returns it. Raises `ApiError`."""
        found: dict[str, Any] = self._ask(
            "PUT", f"/api/v2/accounts/{account}/group", dict, {"group": name}
        )
        return found

    def give_freeleech(self, form: Mapping[str, Any]) -> dict[str, Any]:
        """Gives a freeleech token with the members that are not None, and returns it.

        Raises `ApiError`.
        """
        given = {name: value for name, value in form.items() if value is not None}
        token: dict[str, Any] = self._ask("POST", "/api/v2/freeleech", dict, given)
        return token

    def freeleech(self, filters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yields freeleech tokens. Raises `ApiError`."""
        return self._pages("freeleech", filters)

    def withdraw_freeleech(self, number: int) -> None:
        """Withdraws a freeleech token. Raises `ApiError`."""
        self._ask("DELETE", f"/api/v2/freeleech/{number}", None)

    def account_of(self, who: str) -> int:
        """Returns the account of an owner, or the account number itself if there is no such owner.

        `owner:` may stand before an owner. Raises `ApiError` when it is neither.
        """
        for account in self._pages("accounts", {"owner": who.removeprefix("owner:")}):
            return int(account["account"])
        if re.fullmatch(r"[1-9][0-9]{0,9}", who):
            return int(who)
        raise ApiError(f"no account has the owner {who}")

    def account_page(self, number: int) -> dict[str, Any]:
        """Returns all that staff asks about an account. Raises `ApiError`."""
        page: dict[str, Any] = self._ask("GET", f"/api/v2/accounts/{number}/page", dict)
        return page

    def correct(
        self, account: int, form: Mapping[str, Any], idempotency_key: str
    ) -> dict[str, Any]:
        """Corrects an account; returns the event's `seq` and the totals after it.

        Raises `ApiError`.
        """
        given = {name: value for name, value in form.items() if value is not None}
        path = f"/api/v2/accounts/{account}/corrections"
        again = attrs.evolve(self, idempotency_key=idempotency_key)
        corrected: dict[str, Any] = again._ask("POST", path, dict, given)
        return corrected

    # Hit and run. Each raises `ApiError`.

    def hit_and_run_rule(self) -> dict[str, Any] | None:
        """Returns the rule in force; None = there is none."""
        rule: dict[str, Any] | None = self._ask("GET", "/api/v2/hit-and-run/rule", dict)["rule"]
        return rule

    def set_hit_and_run_rule(self, rule: Mapping[str, Any]) -> dict[str, Any]:
        return self._judge("PUT", "hit-and-run/rule", rule)

    def end_hit_and_run_rule(self) -> dict[str, Any]:
        return self._judge("DELETE", "hit-and-run/rule")

    def judged(self, account: object, filters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yields the downloads of an account; None = of all."""
        path = "hit-and-run" if account is None else f"accounts/{account}/hit-and-run"
        return self._pages("downloads", filters, path)

    def judged_history(self, account: int, info_hash: str) -> dict[str, Any]:
        return self._judge("GET", f"accounts/{account}/hit-and-run/{info_hash}")

    def pardon(self, form: Mapping[str, Any]) -> dict[str, Any]:
        return self._judge("POST", "hit-and-run/pardons", form)

    def void(self, form: Mapping[str, Any]) -> dict[str, Any]:
        return self._judge("POST", "hit-and-run/voids", form)

    def make_immune(self, account: int, begin: str | None) -> dict[str, Any]:
        return self._judge("PUT", f"accounts/{account}/immunity", {"from": begin})

    def end_immunity(self, account: int) -> dict[str, Any]:
        return self._judge("DELETE", f"accounts/{account}/immunity")

    def sanctions(self, filters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        return self._pages("sanctions", filters)

    def impose(self, what: str, account: int, until: str | None) -> dict[str, Any]:
        return self._judge("PUT", f"accounts/{account}/{what.replace('_', '-')}", {"until": until})

    def lift(self, what: str, account: int) -> dict[str, Any]:
        return self._judge("DELETE", f"accounts/{account}/{what.replace('_', '-')}")

    def limits(self, filters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        return self._pages("limits", filters)

    def limit(self, account: int, own: Mapping[str, int | None]) -> dict[str, Any]:
        return self._judge("PUT", f"accounts/{account}/limits", dict(own))

    def merge(self, account: int, form: Mapping[str, Any]) -> dict[str, Any]:
        return self._judge("POST", f"accounts/{account}/merge", dict(form))

    def split(self, account: int, form: Mapping[str, Any]) -> dict[str, Any]:
        return self._judge("POST", f"accounts/{account}/split", dict(form))

    def blacklist(self, filters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        return self._pages("blacklist", filters)

    def ban(self, info_hash: str, public: bool) -> dict[str, Any]:
        return self._judge("PUT", f"blacklist/{info_hash}", {"public": public})

    def unban(self, info_hash: str) -> dict[str, Any]:
        return self._judge("DELETE", f"blacklist/{info_hash}")

    def client_rules(self, filters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        return self._pages("client_rules", filters, "client-rules")

    def client_use(self, terms: Mapping[str, str]) -> dict[str, Any]:
        return self._judge("GET", f"client-rules/preview?{urlencode(terms)}")

    def rule_client(self, form: Mapping[str, Any]) -> dict[str, Any]:
        return self._judge("POST", "client-rules", form)

    def end_client_rule(self, number: int) -> dict[str, Any]:
        return self._judge("DELETE", f"client-rules/{number}")

    def blocks(self, filters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        return self._pages("blocks", filters)

    def block(self, network: str, until: str | None, public: bool) -> dict[str, Any]:
        return self._judge("PUT", f"blocks/{network}", {"until": until, "public": public})

    def unblock(self, network: str) -> dict[str, Any]:
        return self._judge("DELETE", f"blocks/{network}")

    def cases(self, filters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        return self._pages("cases", filters)

    def case(self, account: int, detector: str) -> dict[str, Any]:
        return self._judge("GET", f"cases/{account}/{quote(detector, safe='')}")

    def say_of_case(
        self, account: int, detector: str, what: str, form: Mapping[str, Any]
    ) -> dict[str, Any]:
        """`what`: the last part of the endpoint's path; an empty form sends no body."""
        path = f"cases/{account}/{quote(detector, safe='')}/{what}"
        return self._judge("POST", path, form or None)

    def detectors(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._judge("GET", "detectors")["detectors"]
        return found

    def _judge(self, method: str, path: str, form: object = None) -> dict[str, Any]:
        answer: dict[str, Any] = self._ask(method, f"/api/v2/{path}", dict, form)
        return answer

    # Settings. Each raises `ApiError`.

    def settings(self) -> dict[str, Any]:
        return self._judge("GET", "settings")

    def settings_changes(self, last: int | None = None) -> Iterator[dict[str, Any]]:
        """Yields the changes of settings, the oldest first. `last`: so many of the newest alone."""
        if last is None:
            return self._pages("changes", {}, "settings/history")
        return self._last("changes", last, "settings/history")

    def change_settings(self, values: Mapping[str, Any], *, dry_run: bool) -> dict[str, Any]:
        form = {"settings": values, "dry_run": dry_run}
        return self._judge("PATCH", "settings", form)

    # Access tokens. Each raises `ApiError`.

    def tokens(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._judge("GET", "tokens")["tokens"]
        return found

    def own_token(self) -> dict[str, Any]:
        return self._judge("GET", "tokens/own")

    def issue_token(self, form: Mapping[str, Any]) -> dict[str, Any]:
        return self._judge("POST", "tokens", form)

    def revoke_token(self, number: int) -> None:
        self._ask("DELETE", f"/api/v2/tokens/{number}", None)

    # Webhooks. Each raises `ApiError`.

    def webhooks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("GET", "/api/v2/webhooks", dict)["webhooks"]
        return found

    def replay_webhook(self, name: str, first: int) -> None:
        self._ask("POST", f"/api/v2/webhooks/{quote(name, '')}/replay", dict, {"from": first})

    def retry_webhook(self, name: str) -> int:
        """Returns the number of dead letters."""
        done = self._ask("POST", f"/api/v2/webhooks/{quote(name, '')}/retry", dict)
        return int(done["dead_letters"])

    def _pages(self, name: str, filters: Mapping[str, str], path: str = "") -> Iterator[Any]:
        query = {**filters, "limit": str(_PAGE)}
        while True:
            answer = self._ask("GET", f"/api/v2/{path or name}?{urlencode(query)}", dict)
            if not isinstance(answer.get(name), list):
                raise ApiError(f"what answers at {self.endpoint.url} is not a tracker's API")
            yield from answer[name]
            if answer.get("next") is None:
                return
            if not answer[name] or query.get("after") == str(answer["next"]):
                raise ApiError(f"what answers at {self.endpoint.url} is not a tracker's API")
            query["after"] = str(answer["next"])

    def _last(self, name: str, count: int, path: str) -> Iterator[Any]:
        """Yields the last things of a list that has a `previous`, ascending."""
        found: list[Any] = []
        query = dict[str, str]()
        while len(found) < count:
            query["last"] = str(min(count - len(found), _PAGE))
            answer = self._ask("GET", f"/api/v2/{path}?{urlencode(query)}", dict)
            some, previous = answer.get(name), answer.get("previous")
            if not isinstance(some, list) or query.get("before") == str(previous):
                raise ApiError(f"what answers at {self.endpoint.url} is not a tracker's API")
            found = some + found
            if previous is None:
                break
            query["before"] = str(previous)
        return iter(found)

    def _ask(self, method: str, path: str, kind: type | None, form: object = None) -> Any:
        """Returns the JSON of a good answer, which must be a `kind`; None = it has no body."""
        status, body = self._exchange(method, path, form)
        if status not in (200, 201, 204):
            raise ApiError(_meaning(status, body.decode(errors="replace"), self.endpoint.url))
        answer = _json(body)
        if kind is not None and not isinstance(answer, kind):
            raise ApiError(f"what answers at {self.endpoint.url} is not a tracker's API")
        return answer

    def _exchange(self, method: str, path: str, form: object) -> tuple[int, bytes]:
        headers: dict[str, str | bytes] = {"Authorization": b"Bearer " + self.token.encode()}
        if self.reason:
            headers["X-Reason"] = self.reason.encode()
        if self.idempotency_key:
            headers["Idempotency-Key"] = self.idempotency_key.encode()
        if self.viewer is not None:
            return self.viewer.ask(method, path, headers)
        body = None
        if form is not None:
            body = json.dumps(form)
            headers["Content-Type"] = "application/json"
        try:
            connection, prefix = _connection(self.endpoint)
            try:
                connection.request(method, prefix + path, body, headers)
                response = connection.getresponse()
                return response.status, response.read(_MAX_ANSWER)
            finally:
                connection.close()
        except (OSError, HTTPException, ValueError) as error:
            raise ApiError(_unreachable(self.endpoint, error)) from error


def endpoint_of(api: HttpApi) -> Endpoint:
    """Returns where this machine reaches the API of a configuration. Raises `ApiError`."""
    address = api.bind_address
    if isinstance(address, UnixAddress):
        return Endpoint("http://localhost", socket=address.path)
    if not address.port:
        raise ApiError("http_api.bind_address names no port (0 = any free one): give --url")
    host = local_host(address.host)
    netloc = f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"
    if api.tls is None:
        return Endpoint(f"http://{netloc}")
    return Endpoint(f"https://{netloc}", api.tls.ssl_cert_path)


def endpoint_at(url: str) -> Endpoint:
    """Returns the API at a URL that the user gave. Raises `ApiError` for a URL of no API."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known or parts.query or parts.fragment or parts.username is not None:
        raise ApiError("--url: expected something like http://127.0.0.1:1212")
    return Endpoint(url.rstrip("/"))


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(self._path)


def _connection(endpoint: Endpoint) -> tuple[HTTPConnection, str]:
    """Returns a connection that is not open yet, and the prefix of every path."""
    if endpoint.socket is not None:
        return _UnixConnection(endpoint.socket), ""
    parts = urlsplit(endpoint.url)
    host = parts.hostname or ""
    if parts.scheme == "http":
        return HTTPConnection(host, parts.port, timeout=TIMEOUT_SECONDS), parts.path
    context = trusting(endpoint.certificate)
    return HTTPSConnection(host, parts.port, timeout=TIMEOUT_SECONDS, context=context), parts.path


def _unreachable(endpoint: Endpoint, error: Exception) -> str:
    place = endpoint.url if endpoint.socket is None else f"unix:{endpoint.socket}"
    where = f"cannot reach the API at {place}"
    match error:
        case ConnectionRefusedError() | FileNotFoundError():
            return f"{where}: nothing listens there; is the tracker running?"
        case ssl.SSLCertVerificationError():
            return f"{where}: its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"{where}: TLS failed ({error.reason})"
        case TimeoutError():
            return f"{where}: no answer within {TIMEOUT_SECONDS} seconds"
        case OSError():
            return f"{where}: {error.strerror or error}"
        case _:
            return f"{where}: it does not speak HTTP" + (
                " (or only https)" if endpoint.url.startswith("http:") else ""
            )


def _json(body: bytes) -> object:
    """Parses JSON; None for anything else."""
    try:
        return parse_json(body)
    except ValueError:
        return None


def _meaning(status: int, text: str, url: str) -> str:
    if status == 401:
        return _TOKEN_REFUSED
    for sign, meaning in _MEANINGS.items():
        if sign in text:
            return meaning
    shown = " ".join(_reason(text).split())[:300]
    if not shown:
        return f"what answers at {url} says {status}: is it a tracker's API?"
    return f"the API refused: {shown}"


def _reason(text: str) -> str:
    """Finds the reason in a problem document or a refusal of version 1, or returns the text."""
    document = _json(text.encode())
    if isinstance(document, dict):
        return str(document.get("detail") or document.get("title") or "")
    reason = re.search(r'reason: "(.*)" }', text, re.DOTALL)
    return reason[1] if reason else text

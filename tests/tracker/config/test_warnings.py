"""Harmless mistakes load with a warning, and scopes of tokens are checked."""

import pytest

from tests.tracker.config.support import MINIMAL, at, from_text, refused

_DROPPED = (
    "core.tracker_policy.max_peer_timeout: peers are dropped before their next announce can be "
    "there; it takes up to {} seconds: the interval, interval_jitter, and 60 for a late client"
)
REMARKS = [
    ("core.listd = 1", "core.listd: unknown key, ignored; the nearest known one is listed"),
    ("core.zzz = 1", "core.zzz: unknown key, ignored"),
    ("auth = {secret = 5}", "auth: unknown table, ignored"),
    ("core.netz = {}", "core.netz: unknown table, ignored; the nearest known one is net"),
    (
        "core.max_peer_timeout = 1",
        ("core.max_peer_timeout: unknown key, ignored; "
        "the nearest known one is core.tracker_policy.max_peer_timeout"),
    ),
    (
        '[[udp_trackers]]\n[[udp_trackers]]\nbind_address = "0.0.0.0:1"\nbind_adress = ""',
        ("udp_trackers[1].bind_adress: unknown key, ignored; "
        "the nearest known one is bind_address"),
    ),
    (
        'core.database = {driver = "MySQL", path = "mysql://root:hunter2@db/x", new = 1}',
        "core.database: accepted and ignored: the event log is the only storage, see [event_log]",
    ),
    (
        "core.announce_policy = {interval = 60, interval_min = 61}",
        "core.announce_policy.interval_min: longer than core.announce_policy.interval",
    ),
    (
        "core.tracker_policy.max_peer_timeout = 179",
        _DROPPED.format(180),
    ),
    (
        "policy.interval_jitter = 780",
        _DROPPED.format(960),
    ),
    (
        "core.announce_policy.max_peers_per_announce = 200",
        "core.announce_policy.max_peers_per_announce: a reply has 74 peers at most",
    ),
    (
        'http_trackers = [{bind_address = "unix:/x"}]',
        ("http_trackers[0].bind_address: over a Unix socket come no clients' addresses, so all peers count as on this machine; "
        "set on_reverse_proxy or proxy_protocol in its network table"),
    ),
    (
        "policy.leeching_slots = 2",
        "policy.leeching_slots: has no effect where there are no keys (core.private = false)",
    ),
    (
        "policy.started_per_day = 2",
        "policy.started_per_day: has no effect where there are no keys (core.private = false)",
    ),
    (
        "policy.handed_per_day = 2",
        "policy.handed_per_day: has no effect where there are no keys (core.private = false)",
    ),
    (
        "policy.peers_per_account = 2",
        "policy.peers_per_account: has no effect where there are no keys (core.private = false)",
    ),
    (
        "http_api = {}",
        "http_api.access_tokens: there is none, so the API refuses every request",
    ),
    (
        'event_log.path = "~/log"',
        "event_log.path: ~ stands for itself here, not for a home folder",
    ),
    (
        'http_api.access_tokens = {a = "same", b = "same", c = "other"}',
        "http_api.access_tokens: two labels share a token; the log can name only one of them",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), REMARKS)
def test_warning(text: str, line: str) -> None:
    """An odd but harmless setting loads with one warning that names it."""
    assert from_text(MINIMAL + text).warnings == (line,)


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ('core.net.trusted_proxies = ["::1"]', "core.net"),
        ('[[http_trackers]]\nnetwork.trusted_proxies = ["::1"]', "http_trackers[0].network"),
    ],
)
def test_proxies_of_no_listener(lines: str, place: str) -> None:
    """Proxies are named in vain where no listener is behind one."""
    warning = f"{place}.trusted_proxies: has no effect without on_reverse_proxy = true"
    assert from_text(f"{MINIMAL}{lines}").warnings == (warning,)
    behind = f"{MINIMAL}core.net.on_reverse_proxy = true\n{lines}"
    assert from_text(behind).warnings == ()


def test_scopes() -> None:
    """A scope narrows a token by its label, in any case. An unknown label is a problem."""
    tokens = 'http_api.access_tokens = {admin = "a", watch = "w"}\n'
    loaded = from_text(f'{MINIMAL}{tokens}http_api.token_scopes = {{watch = "Read"}}')
    assert at(loaded.config, "http_api.token_scopes") == {"watch": "read"}
    error = refused(f'{MINIMAL}{tokens}http_api.token_scopes = {{wacth = "read", admin = "full"}}')
    assert error.problems == ("http_api.token_scopes: no such label in access_tokens: wacth",)


def test_scopes_of_one_token() -> None:
    """Two labels may share a token only if they have the same scope."""
    for tokens in ('{a = "same", b = "same"}', '{b = "same", a = "same"}'):
        text = f"{MINIMAL}http_api.access_tokens = {tokens}\n"
        error = refused(f'{text}http_api.token_scopes = {{b = "read"}}')
        assert error.problems == ("http_api.token_scopes: one token has labels of several scopes",)
        assert from_text(f'{text}http_api.token_scopes = {{a = "read", b = "read"}}')


def test_rights_to_addresses() -> None:
    """A label without an entry has the right. Mistakes are refused as in scopes."""
    tokens = 'http_api.access_tokens = {admin = "a", watch = "w", other = "w"}\n'
    for table, problem in (
        ("{wacth = false}", "no such label in access_tokens: wacth"),
        ("{watch = false}", "one token has labels with and without the right"),
    ):
        error = refused(f"{MINIMAL}{tokens}http_api.token_addresses = {table}")
        assert error.problems == (f"http_api.token_addresses: {problem}",)
    both = "http_api.token_addresses = {watch = false, other = false}"
    config = from_text(f"{MINIMAL}{tokens}{both}").config
    assert at(config, "http_api.token_addresses") == {"watch": False, "other": False}

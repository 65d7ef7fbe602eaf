"""Environment variables override single keys of the configuration."""

from pathlib import Path

import pytest

from tests.tracker.config.support import MINIMAL, OVERRIDE, at, from_text, refused, write_config
from tracker.config import Address, AnnouncePolicy, load

GOOD_OVERRIDES = [
    ("CORE__LISTED", "true", "core.listed", True),
    ("CORE__ANNOUNCE_POLICY__INTERVAL", "300", "core.announce_policy.interval", 300),
    ("LOGGING__THRESHOLD", "debug", "logging.threshold", "debug"),
    ("LOGGING__THRESHOLD", '"debug"', "logging.threshold", "debug"),
    ("HTTP_API__BIND_ADDRESS", "10.0.0.1:1", "http_api.bind_address", Address("10.0.0.1", 1)),
    ("HTTP_API__ACCESS_TOKENS__ADMIN", "007", "http_api.access_tokens", {"admin": "007"}),
    ("HTTP_API__ACCESS_TOKENS__ADMIN", "123", "http_api.access_tokens", {"admin": "123"}),
    ("HTTP_API__ACCESS_TOKENS__ADMIN", "true", "http_api.access_tokens", {"admin": "true"}),
    ("HTTP_API__ACCESS_TOKENS__ADMIN", '"12"', "http_api.access_tokens", {"admin": "12"}),
    ("HTTP_API__ACCESS_TOKENS__ADMIN", "a#b =", "http_api.access_tokens", {"admin": "a#b ="}),
    ("EVENT_LOG__PATH", "1\nx = 2", "event_log.path", "1\nx = 2"),
    ("HTTP_API__ACCESS_TOKENS", '{a = "x"}', "http_api.access_tokens", {"a": "x"}),
    ("EVENT_LOG__PATH", "2024", "event_log.path", "2024"),
    ("POLICY__CLIENTS_DENIED", '["-XL", "-SD"]', "policy.clients_denied", ("-XL", "-SD")),
    ("POLICY__MAX_TORRENTS", "5", "policy.max_torrents", 5),
    ("EVENT_LOG__SECRETS_PATH", "/a b/c", "event_log.secrets_path", "/a b/c"),
    ("UDP_TRACKERS", '[{bind_address = "[::]:5"}]', "udp_trackers.0.bind_address", Address("::", 5)),
    ("UDP_TRACKERS", "[{bind_address=1.2.3.4:5, cookie_lifetime=9}]", "udp_trackers.0.cookie_lifetime", 9),
    ("UDP_TRACKERS", "[{bind_address=1.2.3.4:5}]", "udp_trackers.0.bind_address", Address("1.2.3.4", 5)),
    ("CORE__NET__TRUSTED_PROXIES", "[10.0.0.0/8, ::1]", "core.net.trusted_proxies",
     ("10.0.0.0/8", "::1/128")),
    ("CORE__NET__EXTERNAL_IP", "", "core.net.external_ip", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "raw", "path", "value"), GOOD_OVERRIDES)
def test_override(name: str, raw: str, path: str, value: object) -> None:
    """An override sets one key and creates its section if needed. Text values stay text."""
    assert at(from_text(MINIMAL, **{name: raw}).config, path) == value


def test_overrides_alone_can_be_the_whole_configuration() -> None:
    """The mandatory keys as overrides of an empty text are a whole configuration."""
    mandatory = {
        "METADATA__SCHEMA_VERSION": "2.0.0",
        "LOGGING__THRESHOLD": "info",
        "CORE__LISTED": "false",
        "CORE__PRIVATE": "false",
    }
    assert from_text("", **mandatory).config == from_text(MINIMAL).config


def test_overrides_apply_to_a_file_named_on_the_command_line(tmp_path: Path) -> None:
    """An override wins over every source, and other variables change nothing."""
    path = write_config(tmp_path, "tracker.toml", "warn")
    environ = {f"{OVERRIDE}LOGGING__THRESHOLD": "off", "HOME": "/", "TORRUST_TRACKER_X": "1"}
    loaded = load(path, environ)
    assert (loaded.config.logging.threshold, loaded.warnings) == ("off", ())


def test_a_table_is_overridden_before_its_keys() -> None:
    """The order of the environment does not matter."""
    policy = {
        "CORE__ANNOUNCE_POLICY__INTERVAL": "500",
        "CORE__ANNOUNCE_POLICY": "{interval = 400, interval_min = 30}",
    }
    config = from_text(MINIMAL, **policy).config
    assert config.core.announce_policy == AnnouncePolicy(500, 30)


UNCARRIED = (
    "http_api.access_tokens.admin: begins or ends with a blank or a line's end, which no request can carry: "
    "remove it (a secret's file must be written without a line's end: printf %s TOKEN)"
)
UNPRINTED = "http_api.access_tokens.admin: has a character that cannot be printed"
BAD_OVERRIDES = [
    ("CORE__LISTED", "yes", 'core.listed: must be true or false, not "yes"'),
    ("CORE__LISTED__X", "1", f"{OVERRIDE}CORE__LISTED__X: core.listed is not a table"),
    (
        "CORE____LISTED",
        "1",
        f"{OVERRIDE}CORE____LISTED: names no key: an empty part around a double underscore",
    ),
    ("", "1", f"{OVERRIDE}: names no key: an empty part around a double underscore"),
    ("HTTP_API__ACCESS_TOKENS__ADMIN", "", "http_api.access_tokens.admin: must not be empty"),
    ("HTTP_API__ACCESS_TOKENS__ADMIN", "s3cret\n", UNCARRIED),
    ("HTTP_API__ACCESS_TOKENS__ADMIN", " s3cret", UNCARRIED),
    ("HTTP_API__ACCESS_TOKENS__ADMIN", '"s3\\rcret"', f"{UNPRINTED}, which no request can carry"),
    ("HTTP_API__ACCESS_TOKENS__ADMIN", "s3\udcffcret", f"{UNPRINTED}, which no request can carry"),
    ("EVENT_LOG__PATH", '"a\\u0000b"', "event_log.path: must not hold a zero byte"),
]


@pytest.mark.parametrize(("name", "raw", "line"), BAD_OVERRIDES)
def test_bad_override(name: str, raw: str, line: str) -> None:
    """A wrong value is named by its key, and a wrong name by its variable."""
    assert str(refused(MINIMAL, **{name: raw})) == line


def test_one_listener_of_an_array_cannot_be_overridden() -> None:
    """The message says what can."""
    name = "UDP_TRACKERS__0__BIND_ADDRESS"
    assert str(refused(f"{MINIMAL}[[udp_trackers]]", **{name: "1.2.3.4:5"})) == (
        f"{OVERRIDE}{name}: udp_trackers is an array: set it as a whole, "
        'such as [{bind_address = "0.0.0.0:7070"}]'
    )


def test_unknown_override_is_a_warning() -> None:
    """A misspelt variable gets the same warning as a misspelt key."""
    warnings = from_text(MINIMAL, CORE__LISTE="true").warnings
    assert warnings == ("core.liste: unknown key, ignored; the nearest known one is listed",)

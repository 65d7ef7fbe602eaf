"""Bad values, missing keys and contradictory keys are refused with their names and reasons."""

import json
from pathlib import Path

import pytest

from tests.tracker.config.support import (
    MINIMAL,
    NO_ADDRESS,
    OVERRIDE,
    SECONDS,
    TEXT,
    from_text,
    refused,
)

SECONDS_OR_OFF = "must be a whole number of seconds from 0 to 2147483647, not "
CLIENTS = 'must hold the first characters of a peer id, such as "-qB" or "-TR29", not '
CONTACT = "must be a line of text or a URL, up to 200 characters; not "
TITLE = "must be a line of text, 1 to 64 characters; not "
PORTS = 'must hold ports from 1 to 65535 or ranges such as "6881-6889", not '
BAD_VALUES = [
    ("core.announce_policy.interval", "0", f"{SECONDS}0"),
    ("core.announce_policy.interval", "2147483648", f"{SECONDS}2147483648"),
    ("core.announce_policy.interval", '"120"', f'{SECONDS}"120"'),
    ("core.announce_policy.interval", "120.0", f"{SECONDS}120.0"),
    ("core.announce_policy.interval", "true", f"{SECONDS}true"),
    ("core.announce_policy.interval", "2020-01-01", f"{SECONDS}a date or time"),
    ("core.announce_policy.interval_min", "-1", f"{SECONDS_OR_OFF}-1"),
    ("core.inactive_peer_cleanup_interval", "[]", f"{SECONDS_OR_OFF}an array"),
    ("core.tracker_policy.max_peer_timeout", "{}", f"{SECONDS}a table"),
    ("core.tracker_usage_statistics", '"yes"', 'must be true or false, not "yes"'),
    ("core.tracker_policy.remove_peerless_torrents", "1", "must be true or false, not 1"),
    ("core.net", "5", "must be a table, not a number"),
    ("core.net.external_ip", '"example.com"', 'must be an IP address, not "example.com"'),
    ("core.net.external_ip", "4", "must be an IP address, not 4"),
    ("core.net.on_reverse_proxy", '""', 'must be true or false, not ""'),
    (
        "core.net.trusted_proxies",
        '["unix"]',
        'must hold addresses or networks such as "10.0.0.0/8", not "unix"',
    ),
    (
        "core.net.forwarded_header",
        '"X-Real-IP:"',
        'must be the name of a header, such as "X-Real-IP", not "X-Real-IP:"',
    ),
    (
        "udp_trackers",
        "{}",
        "must be an array of tables, headed by double brackets, not a table",
    ),
    ("http_api", "[]", "must be a table, not an array"),
    (
        "http_api.bind_address",
        '"unix:api.sock"',
        'must be an absolute path after "unix:", of at most 107 bytes',
    ),
    ("http_api.trusted_proxies", '"unix"', 'must be an array, not "unix"'),
    (
        "http_api.trusted_proxies",
        '["172.17.0.1/16"]',
        'must hold addresses or networks such as "172.17.0.0/16", or "unix", not "172.17.0.1/16"',
    ),
    ("http_api.access_tokens", '"x"', "must be a table, not a string"),
    ("http_api.access_tokens.admin", '""', "must not be empty"),
    ("http_api.token_scopes", '"read"', "must be a table, not a string"),
    ("http_api.token_scopes.admin", '"write"', 'must be one of read, moderator, full; not "write"'),
    ("http_api.access_tokens.admin", "12345", "must be a string, not a number"),
    ("metadata.app", '"torrust-index"', 'must be one of torrust-tracker; not "torrust-index"'),
    ("metadata.purpose", "1", "must be one of configuration; not 1"),
    ("event_log.path", '""', "must not be empty"),
    ("event_log.path", "7", "must be a string, not 7"),
    ("event_log.durability", '"fast"', 'must be one of group, strict; not "fast"'),
    ("event_log.follower", "true", "must be one of on, at_stop; not true"),
    (
        "event_log.linger_ms",
        "1001",
        "must be a whole number of milliseconds from 0 to 1000, not 1001",
    ),
    (
        "event_log.segment_bytes",
        "65535",
        "must be a whole number of bytes from 65536 to 1073741824, not 65535",
    ),
    ("event_log.keep_days", "0", "must be a whole number of days from 1 to 36500, not 0"),
    (
        "event_log.keep_bytes",
        "131071",
        "must be a whole number of bytes from 131072 to 9223372036854775807, not 131071",
    ),
    ("event_log.shred_days", "-1", "must be a whole number of days from 0 to 36500, not -1"),
    (
        "event_log.wait_for_consumers_days",
        "-1",
        "must be a whole number of days from 0 to 36500, not -1",
    ),
    ("policy.clients_denied", '"-XL"', 'must be an array, not "-XL"'),
    ("policy.clients_denied", '[""]', f'{CLIENTS}""'),
    ("policy.clients_allowed", '["ü"]', f'{CLIENTS}"ü"'),
    ("policy.clients_allowed", "[5]", f"{CLIENTS}5"),
    ("policy.refused_ports", "[0]", f"{PORTS}0"),
    ("policy.refused_ports", '[0, 25, "x"]', f'{PORTS}0; {PORTS}"x"'),
    ("policy.refused_ports", "[65536]", f"{PORTS}65536"),
    ("policy.refused_ports", "[true]", f"{PORTS}true"),
    ("policy.refused_ports", '["9-8"]', f'{PORTS}"9-8"'),
    ("policy.refused_ports", '["-9"]', f'{PORTS}"-9"'),
    ("console.name", '""', f'{TITLE}""'),
    ("console.name", r'"a\nb"', f'{TITLE}"a\\nb"'),
    ("console.name", f'"{"x" * 65}"', f'{TITLE}"{"x" * 55}…'),
    ("policy.contact", "7", f"{CONTACT}7"),
    ("policy.contact", r'"a\nb"', f'{CONTACT}"a\\nb"'),
    ("policy.contact", f'"{"x" * 201}"', f'{CONTACT}"{"x" * 55}…'),
    ("policy.ip_parameter", '"on"', 'must be one of ignored, local, always; not "on"'),
    (
        "policy.max_peers",
        "-1",
        "must be a whole number, 0 for no limit, up to 2147483647; not -1",
    ),
    (
        "policy.retry_in_minutes",
        "0",
        "must be a whole number of minutes from 1 to 525600, not 0",
    ),
]


@pytest.mark.parametrize(("path", "toml", "reason"), BAD_VALUES)
def test_bad_value_is_named_with_its_path_and_reason(path: str, toml: str, reason: str) -> None:
    """The message is one line: the key, the accepted values, and the given value."""
    assert str(refused(f"{MINIMAL}{path} = {toml}")) == f"{path}: {reason}"


BAD_ADDRESSES = [
    "", "6969", ":6969", "10.0.0.1", "0.0.0.0:", "0.0.0.0:65536", "0.0.0.0:-1", "0.0.0.0:+1",
    "0.0.0.0: 1", "0.0.0.0:٣", "1.2.3:1", "localhost:1", "::1:6969", "[::1]", "[1.2.3.4]:1",
    "[::1]:1x", "[]:1", "0.0.0.0:6969\n",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD_ADDRESSES)
def test_bad_address_is_refused(text: str) -> None:
    """Only an IP address with a port is accepted."""
    reason, path = NO_ADDRESS
    shown = json.dumps(text, ensure_ascii=False)
    assert str(refused(f"{MINIMAL}{path} = {shown}")) == f"{path}: {reason}{shown}"


MANDATORY = ["metadata.schema_version", "logging.threshold", "core.listed", "core.private"]


@pytest.mark.parametrize("path", MANDATORY)
def test_missing_mandatory_key(path: str) -> None:
    """The message for a missing key is the reference's own (contract 4.1)."""
    text = "\n".join(line for line in MINIMAL.splitlines() if not line.startswith(path))
    assert str(refused(text)) == f"Missing mandatory configuration option. Option path: {path}"


@pytest.mark.parametrize("text", ["", " \n", "core = {}\nmetadata = {}"])
def test_empty_text_misses_all_mandatory_keys(text: str) -> None:
    """A missing table is reported by its missing keys, and an empty text as that too."""
    lines = [f"Missing mandatory configuration option. Option path: {path}" for path in MANDATORY]
    if not text.strip():
        lines.insert(0, f"{TEXT}: is empty, and should hold a configuration")
    assert refused(text).problems == tuple(lines)


@pytest.mark.parametrize("name", ["", "privacy", "server.key"])
def test_secrets_that_a_link_leads_into_the_log_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is where a path leads, also through the link of a file in the folder, and through
    a link to the log."""
    (tmp_path / "log" / "inner").mkdir(parents=True)
    (tmp_path / "alias").symlink_to("log")
    if name:
        (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / name).symlink_to(tmp_path / "log" / "inner" / name)
    monkeypatch.chdir(tmp_path)
    for log in ("log", "./alias", f"{tmp_path}/log/../alias/"):
        error = refused(f'{MINIMAL}event_log = {{path = "{log}", secrets_path = "secrets"}}')
        assert str(error) == "event_log.secrets_path: must not be inside path, the log's own folder"
    (tmp_path / "elsewhere").mkdir()
    from_text(f'{MINIMAL}event_log = {{path = "log", secrets_path = "elsewhere"}}')


def test_a_link_in_the_log_that_leads_to_the_secrets_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the log that follows links would have the secrets."""
    (tmp_path / "log").mkdir()
    (tmp_path / "disk" / "secrets").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    text = f'{MINIMAL}event_log = {{path = "log", secrets_path = "disk/secrets"}}'
    from_text(text)
    for target in ("../disk", "../disk/secrets"):
        (tmp_path / "log" / "snap").symlink_to(target)
        assert str(refused(text)).startswith("event_log.secrets_path: must not be inside path")
        (tmp_path / "log" / "snap").unlink()


@pytest.mark.parametrize(
    ("written", "shown"), [('"1.0.0"', "1.0.0"), ('"2.0.1"', "2.0.1"), ("2", "2"), ('""', "")]
)
def test_other_schema_versions_are_refused_alone(written: str, shown: str) -> None:
    """Another schema version is the only reported problem."""
    error = refused(f"metadata.schema_version = {written}\ncore.listed = 5")
    known = "it must be 2.0.0 or 3.0.0"
    assert str(error) == f"Unsupported configuration version: {shown}; {known}"


PRIVATE_MODE_LINE = (
    "Configuration error: Private mode section in configuration can only be included "
    "when the tracker is running in private mode."
)
SECTION_PROBLEMS = [
    (
        'http_api.bind_address = "unix:/x"\nhttp_api.tls_config = {ssl_cert_path = "a", ssl_key_path = "b"}',
        "http_api: has TLS on a Unix socket: that is for the proxy in front of it",
    ),
    (
        'http_trackers = [{bind_address = "unix:/x", tls_config = {ssl_cert_path = "a", ssl_key_path = "b"}}]',
        "http_trackers[0]: has TLS on a Unix socket: that is for the proxy in front of it",
    ),
    (
        'http_trackers = [{bind_address = "unix:/x", network.proxy_protocol = ["unix", "::1"]}]',
        'http_trackers[0].network.proxy_protocol: must be ["unix"], because a proxy connects over the Unix socket',
    ),
    (
        'http_trackers = [{network.proxy_protocol = ["unix"]}]',
        'http_trackers[0].network.proxy_protocol: must not hold "unix", because bind_address is no Unix socket',
    ),
    (
        'http_trackers = [{bind_address = "unix:/x", network.on_reverse_proxy = true}, {bind_address = "unix:/x", network.on_reverse_proxy = true}]',
        "http_trackers[1].bind_address: unix:/x is already taken by http_trackers[0]",
    ),
    ("core.private_mode = {}", PRIVATE_MODE_LINE),
    ("core.private_mode.check_keys_expiration = true", PRIVATE_MODE_LINE),
    (
        'event_log = {path = "./log", secrets_path = "log/../log/secrets"}',
        "event_log.secrets_path: must not be inside path, the log's own folder",
    ),
    (
        'event_log = {path = "x", secrets_path = "x", keep_bytes = 131072}',
        (
            "event_log.secrets_path: must not be inside path, the log's own folder\n"
            "event_log.keep_bytes: must be at least twice segment_bytes"
        ),
    ),
    (
        'event_log = {path = "x", secrets_path = "y", follower = "at_stop", cases = true}',
        'event_log.cases: needs follower = "on", because the follower finds them',
    ),
    (
        (
            '[[webhooks]]\nname = "site"\nsecret = "fifteen letters"\ntypes = ["key_issued"]\n'
            'url = "https://site.example/"'
        ),
        (
            "webhooks[0].secret: must have at least 16 characters, because a shorter one can be "
            "guessed"
        ),
    ),
    (
        (
            '[[webhooks]]\nname = "site"\nsecret = "sixteen letters."\n'
            'types = ["key_issued", "hit_and_run"]\nurl = "https://site.example/"'
        ),
        (
            'webhooks[0].types: must have "hit_and_run" alone, because it comes later than events do: '
            "make a webhook of its own"
        ),
    ),
    (
        (
            '[[webhooks]]\nname = "site"\nsecret = "sixteen letters."\ntypes = ["key_issued"]\n'
            'url = "https://site..example/"'
        ),
        (
            'webhooks[0].url: must be an http or https URL, such as "https://site.example/hook", '
            "without a user and a fragment"
        ),
    ),
    (
        (
            'http_api.tsl_config = {ssl_cert_path = "a", ssl_key_path = "b"}\n'
            'http_api.tls_config = {ssl_cert_path = "a", ssl_key_path = "b"}'
        ),
        "http_api: has both tsl_config and tls_config: keep one, they mean the same",
    ),
    (
        '[[http_trackers]]\n[http_trackers.tls_config]\nssl_cert_path = "a"',
        (
            "Missing mandatory configuration option. "
            "Option path: http_trackers[0].tls_config.ssl_key_path"
        ),
    ),
    (
        '[[udp_trackers]]\n[[udp_trackers]]\nbind_address = "0.0.0.0:6969"',
        "udp_trackers[1].bind_address: 0.0.0.0:6969 is already taken by udp_trackers[0]",
    ),
    (
        '[[http_trackers]]\nbind_address = "127.0.0.1:1313"',
        "health_check_api.bind_address: 127.0.0.1:1313 is already taken by http_trackers[0]",
    ),
    (
        '[[udp_trackers]]\n[[udp_trackers]]\nbind_address = "127.0.0.1:6969"',
        "udp_trackers[1].bind_address: 127.0.0.1:6969 is already taken by udp_trackers[0], with 0.0.0.0:6969",
    ),
    (
        '[[http_trackers]]\nbind_address = "[::]:1313"',
        "health_check_api.bind_address: 127.0.0.1:1313 is already taken by http_trackers[0], with [::]:1313",
    ),
    (
        '[[http_trackers]]\nbind_address = "[::ffff:127.0.0.1]:1313"',
        "health_check_api.bind_address: 127.0.0.1:1313 is already taken by http_trackers[0], with [::ffff:7f00:1]:1313",
    ),
    (
        'event_log.path = "log\\n"',
        "event_log.path: begins or ends with a blank or a line's end: remove it",
    ),
    (
        '[[http_trackers]]\n[http_api]\nbind_address = "0.0.0.0:7070"',
        "http_api.bind_address: 0.0.0.0:7070 is already taken by http_trackers[0]",
    ),
]


@pytest.mark.parametrize(("text", "line"), SECTION_PROBLEMS)
def test_contradictory_keys_are_refused(text: str, line: str) -> None:
    """A rule over several keys names the section."""
    assert str(refused(f"{MINIMAL}{text}")) == line


def test_udp_and_tcp_may_share_a_port_and_free_ports_never_clash() -> None:
    """Listeners clash only with the same transport and the same port, and port 0 never clashes."""
    udp = '[[udp_trackers]]\nbind_address = "0.0.0.0:{}"\n'
    http = '[[http_trackers]]\nbind_address = "0.0.0.0:{}"\n'
    text = MINIMAL + udp.format(0) * 2 + udp.format(7070) + http.format(0) * 2 + http.format(7070)
    assert len(from_text(text).config.http_trackers) == 3


def test_all_problems_come_in_one_error() -> None:
    """One error holds the problems of all sections, in the order of the schema."""
    error = refused(
        """
        core.private = false
        core.private_mode.check_keys_expiration = 1
        core.announce_policy = {interval = 0, intervall = 300}
        logging.threshold = "loud"
        metadata.schema_version = "2.0.0"
        udp_trackers = [{}, {bind_address = 6969}, "x"]
        http_api.access_tokens = {a = 1, b = "fine", "c d" = ""}
        event_log.keep_days = 0
        """,
        CORE__PRIVATE__X="1",
    )
    assert str(error) == "\n".join(error.problems)
    assert error.problems == (
        f"{OVERRIDE}CORE__PRIVATE__X: core.private is not a table",
        'logging.threshold: must be one of off, error, warn, info, debug, trace; not "loud"',
        "Missing mandatory configuration option. Option path: core.listed",
        "core.private_mode.check_keys_expiration: must be true or false, not 1",
        f"core.announce_policy.interval: {SECONDS}0",
        f"udp_trackers[1].bind_address: {NO_ADDRESS[0]}6969",
        "udp_trackers[2]: must be a table, not a string",
        "http_api.access_tokens.a: must be a string, not a number",
        "http_api.access_tokens.c d: must not be empty",
        "event_log.keep_days: must be a whole number of days from 1 to 36500, not 0",
        PRIVATE_MODE_LINE,
    )
    assert error.warnings == (
        "core.announce_policy.intervall: unknown key, ignored; the nearest known one is interval",
    )

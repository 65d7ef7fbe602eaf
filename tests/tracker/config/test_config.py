"""The configuration, driven through `load` and `effective` as the command line drives them."""

import json
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.config import (
    Address,
    AnnouncePolicy,
    Config,
    ConfigError,
    Core,
    EventLog,
    HealthCheckApi,
    HttpApi,
    HttpNetwork,
    HttpTracker,
    Loaded,
    Logging,
    Metadata,
    Net,
    Policy,
    TlsFiles,
    UdpNetwork,
    UdpTracker,
    UnixAddress,
    effective,
    load,
)
from tracker.config.keys import IGNORED, known_paths

SHIPPED = Path(__file__).parents[3] / "tracker.toml"
TEXT = "TORRUST_TRACKER_CONFIG_TOML"
PATH = "TORRUST_TRACKER_CONFIG_TOML_PATH"
OVERRIDE = "TORRUST_TRACKER_CONFIG_OVERRIDE_"

MINIMAL = """
metadata.schema_version = "2.0.0"
logging.threshold = "info"
core.listed = false
core.private = false
"""
PRIVATE = MINIMAL.replace("core.private = false", "core.private = true")
V3 = """
metadata.schema_version = "3.0.0"
logging.trace_filter = "info"
core.listed = false
core.private = false
"""


def from_text(text: str, **overrides: str) -> Loaded:
    """Load TOML text; keywords are override variables without their prefix."""
    environ = {OVERRIDE + name: value for name, value in overrides.items()}
    return load(environ={TEXT: text, **environ})


def refused(text: str, **overrides: str) -> ConfigError:
    """The error that loading this text ends with."""
    with pytest.raises(ConfigError) as caught:
        from_text(text, **overrides)
    return caught.value


def at(config: Config, path: str) -> Any:
    """Returns the value at a dotted path; digits index a list of listeners."""
    value: Any = config
    for name in path.split("."):
        if name.isdigit():
            value = value[int(name)]
        else:
            value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


# --- the shipped file -----------------------------------------------------------------------------


def test_shipped_file_serves_a_public_tracker_with_the_defaults() -> None:
    """The shipped file names a default for everything, and the values it is documented to have."""
    loaded = load(str(SHIPPED), environ={})
    assert loaded.warnings == ()
    assert loaded.config == Config(
        metadata=Metadata("2.0.0"),
        logging=Logging("info"),
        core=Core(listed=False, private=False),
        udp_trackers=(UdpTracker(),),
        http_trackers=(HttpTracker(),),
        http_api=HttpApi(access_tokens={"admin": "MyAccessToken"}),
        health_check_api=HealthCheckApi(),
        event_log=EventLog(),
    )


def test_shipped_values_are_the_documented_ones() -> None:
    """Defaults and shipped file cannot drift together unnoticed."""
    config = load(str(SHIPPED), environ={}).config
    assert config.core.announce_policy == AnnouncePolicy(interval=120, interval_min=120)
    assert [str(udp.bind_address) for udp in config.udp_trackers] == ["0.0.0.0:6969"]
    assert [str(http.bind_address) for http in config.http_trackers] == ["0.0.0.0:7070"]
    assert str(at(config, "http_api.bind_address")) == "127.0.0.1:1212"
    assert str(config.health_check_api.bind_address) == "127.0.0.1:1313"
    assert attrs.asdict(config.event_log) == {
        "path": "./storage/tracker/log",
        "secrets_path": "./storage/tracker/secrets",
        "durability": "group",
        "linger_ms": 5,
        "segment_bytes": 67108864,
        "keep_days": 30,
        "keep_bytes": 20000000000,
        "shred_days": 7,
        "follower": "on",
    }


def paths_shown(text: str) -> dict[str, bool]:
    """Every key that a TOML text shows, commented out or not -> whether a comment stands above."""
    shown: dict[str, bool] = {}
    table, explained = "", False
    for line in text.splitlines():
        if header := re.fullmatch(r"(?:# )?\[{1,2}([a-z_.]+)\]{1,2}", line):
            table = header[1]
            shown.setdefault(table, explained)
            explained = False
        elif key := re.fullmatch(r"(?:# )?([a-z0-9_]+) = .+", line):
            shown[f"{table}.{key[1]}"] = explained
            explained = False
        else:
            explained = line.startswith("# ")
    return shown


def test_every_known_key_is_in_the_shipped_file() -> None:
    """A key added to the schema must be shown to users as well."""
    database = {"core.database.driver", "core.database.path"}
    assert {*known_paths(), *database} <= paths_shown(SHIPPED.read_text()).keys()


def test_every_key_in_the_shipped_file_is_explained_and_known() -> None:
    """Each key has a comment above it; the second TLS spelling refers to the first."""
    known = {*known_paths(), "core.database.driver", "core.database.path"}
    labelled = ("http_api.access_tokens.admin", "http_api.token_scopes.admin")
    for path, explained in paths_shown(SHIPPED.read_text()).items():
        if path in known and ".tls_config." not in path:
            assert explained, path
        if not any(other.startswith(f"{path}.") for other in known):
            assert path in known or path in labelled, path


def test_optional_parts_of_the_shipped_file_work_when_uncommented() -> None:
    """Removing the `# ` of commented-out keys and tables gives a file that loads."""
    text = re.sub(r"(?m)^# (?=\[|[a-z0-9_]+ = )", "", SHIPPED.read_text())
    text = re.sub(r"\[(http_trackers|http_api)\.tls_config\]\n(.+\n){2}", "", text)
    loaded = from_text(text.replace("private = false", "private = true"))
    assert loaded.config.core.private_mode is not None
    assert at(loaded.config, "http_trackers.0.tls") == TlsFiles(
        "./storage/tracker/tls/tracker.crt", "./storage/tracker/tls/tracker.key"
    )
    assert loaded.warnings == (f"core.database: accepted and ignored: {IGNORED['core.database']}",)


# --- values ---------------------------------------------------------------------------------------

GOOD_VALUES = [
    ("core.inactive_peer_cleanup_interval", "0", 0),
    ("core.tracker_usage_statistics", "false", False),
    ("core.announce_policy.interval", "2147483647", 2**31 - 1),
    ("core.announce_policy.interval_min", "0", 0),
    ("core.net.external_ip", '"0.0.0.0"', None),
    ("core.net.external_ip", '"::"', None),
    ("core.net.external_ip", '"::ffff:0.0.0.0"', None),
    ("core.net.external_ip", '"203.0.113.9"', ip_address("203.0.113.9")),
    ("core.net.external_ip", '"::ffff:203.0.113.9"', ip_address("203.0.113.9")),
    ("core.net.external_ip", '"2001:DB8::1"', ip_address("2001:db8::1")),
    ("core.net.on_reverse_proxy", "true", True),
    ("core.net.trusted_proxies", '["10.0.0.0/8", "::1"]', ("10.0.0.0/8", "::1/128")),
    ("core.net.forwarded_header", '"CF-Connecting-IP"', "CF-Connecting-IP"),
    ("http_api.forwarded_header", '"Forwarded"', "Forwarded"),
    ("core.announce_policy.max_peers_per_announce", "1", 1),
    ("core.tracker_policy.persistent_torrent_completed_stat", "true", True),
    ("core.tracker_policy.remove_peerless_torrents", "false", False),
    ("health_check_api.bind_address", '"[::1]:0"', Address("::1", 0)),
    ("http_api.bind_address", '"[0::0]:65535"', Address("::", 65535)),
    ("http_api.bind_address", '"unix:/run/a b.sock"', UnixAddress("/run/a b.sock")),
    (
        "http_api.trusted_proxies",
        '["10.0.0.0/8", "::1", "unix"]',
        ("10.0.0.0/8", "::1/128", "unix"),
    ),
    ("http_api.access_tokens.someone", '"123"', "123"),
    ("event_log.durability", '"strict"', "strict"),
    ("event_log.follower", '"at_stop"', "at_stop"),
    ("event_log.linger_ms", "0", 0),
    ("event_log.shred_days", "0", 0),
    ("event_log.segment_bytes", "65536", 65536),
    ("policy.clients_denied", '["-XL", "-", "A~ b"]', ("-XL", "-", "A~ b")),
    ("policy.refused_ports", '[1, 65535, "25", "6881-6889"]', ("1", "65535", "25", "6881-6889")),
    ("policy.refused_ports", "[]", ()),
    ("policy.ip_parameter", '"Local"', "local"),
    ("policy.enforce_interval_min", "true", True),
    ("policy.interval_jitter", "86400", 86400),
    ("policy.http_request_seconds", "1", 1),
]


@pytest.mark.parametrize(("path", "toml", "value"), GOOD_VALUES)
def test_value_is_read(path: str, toml: str, value: object) -> None:
    """Each key accepts its values, including the ends of their ranges."""
    assert at(from_text(f"{MINIMAL}{path} = {toml}").config, path) == value


def test_words_may_be_written_in_any_case() -> None:
    """Words of a fixed list are valid in capitals too."""
    loaded = from_text(MINIMAL.replace('"info"', '"WARN"') + 'event_log.durability = "Strict"')
    assert loaded.config.logging.threshold == "warn"
    assert loaded.config.event_log.durability == "strict"


def test_absent_sections_are_defaults_or_off() -> None:
    """Four mandatory keys are enough; without listeners only the health check is served."""
    config = from_text(MINIMAL).config
    assert config == Config(Metadata("2.0.0"), Logging("info"), Core(listed=False, private=False))
    assert (config.udp_trackers, config.http_trackers, config.http_api) == ((), (), None)
    assert config.core.net == Net(external_ip=None, on_reverse_proxy=False)


def test_listeners_without_an_address_have_the_usual_one() -> None:
    """An empty entry is a listener on its default port."""
    config = from_text(f"{MINIMAL}\n[[udp_trackers]]\n[[http_trackers]]\n[http_api]").config
    assert at(config, "udp_trackers.0.bind_address") == Address.parse("0.0.0.0:6969")
    assert at(config, "http_trackers.0.bind_address") == Address.parse("0.0.0.0:7070")
    assert at(config, "http_api.bind_address") == Address("127.0.0.1", 1212)


def test_private_mode_section_in_a_private_tracker() -> None:
    """The section is legal when the tracker is private."""
    config = from_text(f"{PRIVATE}core.private_mode.check_keys_expiration = false").config
    assert at(config, "core.private_mode.check_keys_expiration") is False


@pytest.mark.parametrize("name", ["tsl_config", "tls_config"])
@pytest.mark.parametrize(
    ("header", "path"),
    [("[http_api.{}]", "http_api"), ("[[http_trackers]]\n[http_trackers.{}]", "http_trackers.0")],
)
def test_tls_files_under_both_names(name: str, header: str, path: str) -> None:
    """Both spellings are accepted for HTTP trackers and the API."""
    table = header.format(name)
    config = from_text(f'{MINIMAL}{table}\nssl_cert_path = "a"\nssl_key_path = "b"').config
    assert at(config, f"{path}.tls") == TlsFiles("a", "b")


@given(
    st.builds(Address, st.ip_addresses().map(lambda ip: str(ip)), st.integers(0, 65535)),
)
def test_address_is_read_back_from_its_text(address: Address) -> None:
    """Printing and reading an address changes nothing."""
    assert Address.parse(str(address)) == address


# --- problems -------------------------------------------------------------------------------------

SECONDS = "must be a whole number of seconds from 1 to 2147483647, not "
SECONDS_OR_OFF = "must be a whole number of seconds from 0 to 2147483647, not "
NO_ADDRESS = (
    'must be an IP address and a port, such as "0.0.0.0:6969" or "[::]:6969", not ',
    "health_check_api.bind_address",
)
CLIENTS = 'must hold the first characters of a peer id, such as "-qB" or "-TR29", not '
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
        '["10.0.0.1/8"]',
        'must hold addresses or networks such as "10.0.0.0/8", or "unix", not "10.0.0.1/8"',
    ),
    ("http_api.access_tokens", '"x"', "must be a table, not a string"),
    ("http_api.access_tokens.admin", '""', "must not be empty"),
    ("http_api.token_scopes", '"read"', "must be a table, not a string"),
    ("http_api.token_scopes.admin", '"write"', 'must be one of read, full; not "write"'),
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
    """One line: where, what it must be, what it is."""
    assert str(refused(f"{MINIMAL}{path} = {toml}")) == f"{path}: {reason}"


BAD_ADDRESSES = [
    "", "6969", ":6969", "10.0.0.1", "0.0.0.0:", "0.0.0.0:65536", "0.0.0.0:-1", "0.0.0.0:+1",
    "0.0.0.0: 1", "0.0.0.0:٣", "1.2.3:1", "localhost:1", "::1:6969", "[::1]", "[1.2.3.4]:1",
    "[::1]:1x", "[]:1", "0.0.0.0:6969\n",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD_ADDRESSES)
def test_bad_address_is_refused(text: str) -> None:
    """Only an IP address with a port will do."""
    reason, path = NO_ADDRESS
    shown = json.dumps(text, ensure_ascii=False)
    assert str(refused(f"{MINIMAL}{path} = {shown}")) == f"{path}: {reason}{shown}"


MANDATORY = ["metadata.schema_version", "logging.threshold", "core.listed", "core.private"]


@pytest.mark.parametrize("path", MANDATORY)
def test_missing_mandatory_key(path: str) -> None:
    """The line is the reference's own (contract 4.1)."""
    text = "\n".join(line for line in MINIMAL.splitlines() if not line.startswith(path))
    assert str(refused(text)) == f"Missing mandatory configuration option. Option path: {path}"


@pytest.mark.parametrize("text", ["", "core = {}\nmetadata = {}"])
def test_empty_text_misses_all_mandatory_keys(text: str) -> None:
    """A missing table is reported by its missing keys."""
    lines = [f"Missing mandatory configuration option. Option path: {path}" for path in MANDATORY]
    assert refused(text).problems == tuple(lines)


@pytest.mark.parametrize(
    ("written", "shown"), [('"1.0.0"', "1.0.0"), ('"2.0.1"', "2.0.1"), ("2", "2"), ('""', "")]
)
def test_other_schema_versions_are_refused_alone(written: str, shown: str) -> None:
    """Another schema version is the only problem reported."""
    error = refused(f"metadata.schema_version = {written}\ncore.listed = 5")
    assert str(error) == f"Unsupported configuration version: {shown}"


PRIVATE_MODE_LINE = (
    "Configuration error: Private mode section in configuration can only be included "
    "when the tracker is running in private mode."
)
SECTION_PROBLEMS = [
    (
        'http_api.bind_address = "unix:/x"\nhttp_api.tls_config = {ssl_cert_path = "a", ssl_key_path = "b"}',
        "http_api: has TLS on a Unix socket: that is for the proxy in front of it",
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
        '[[http_trackers]]\n[http_api]\nbind_address = "0.0.0.0:7070"',
        "http_api.bind_address: 0.0.0.0:7070 is already taken by http_trackers[0]",
    ),
]


@pytest.mark.parametrize(("text", "line"), SECTION_PROBLEMS)
def test_keys_that_do_not_go_together(text: str, line: str) -> None:
    """Rules over several keys name the section."""
    assert str(refused(f"{MINIMAL}{text}")) == line


def test_udp_and_tcp_may_share_a_port_and_free_ports_never_clash() -> None:
    """Only listeners of the same transport and port collide."""
    udp = '[[udp_trackers]]\nbind_address = "0.0.0.0:{}"\n'
    http = '[[http_trackers]]\nbind_address = "0.0.0.0:{}"\n'
    text = MINIMAL + udp.format(0) * 2 + udp.format(7070) + http.format(0) * 2 + http.format(7070)
    assert len(from_text(text).config.http_trackers) == 3


def test_all_problems_are_told_at_once() -> None:
    """One error holds the problems of all sections, in the schema's order."""
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


# --- warnings -------------------------------------------------------------------------------------

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
        "core.tracker_policy.max_peer_timeout = 120",
        "core.tracker_policy.max_peer_timeout: peers are dropped before their next announce is due",
    ),
    (
        "policy.interval_jitter = 780",
        "core.tracker_policy.max_peer_timeout: peers are dropped before their next announce is due",
    ),
    (
        "policy.peers_per_account = 2",
        "policy.peers_per_account: has no effect where there are no keys (core.private = false)",
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


def test_scopes() -> None:
    """token_scopes narrows a token by its label, in any case; an unknown label is a problem."""
    tokens = 'http_api.access_tokens = {admin = "a", watch = "w"}\n'
    loaded = from_text(f'{MINIMAL}{tokens}http_api.token_scopes = {{watch = "Read"}}')
    assert at(loaded.config, "http_api.token_scopes") == {"watch": "read"}
    error = refused(f'{MINIMAL}{tokens}http_api.token_scopes = {{wacth = "read", admin = "full"}}')
    assert error.problems == ("http_api.token_scopes: no such label in access_tokens: wacth",)


def test_scopes_of_one_token() -> None:
    """Two labels may share a token, but only with the same scope."""
    for tokens in ('{a = "same", b = "same"}', '{b = "same", a = "same"}'):
        text = f"{MINIMAL}http_api.access_tokens = {tokens}\n"
        error = refused(f'{text}http_api.token_scopes = {{b = "read"}}')
        assert error.problems == ("http_api.token_scopes: one token has labels of both scopes",)
        assert from_text(f'{text}http_api.token_scopes = {{a = "read", b = "read"}}')


# --- sources --------------------------------------------------------------------------------------


def a_file(folder: Path, name: str, threshold: str) -> str:
    """A minimal configuration file, recognisable by its threshold."""
    path = folder / name
    path.write_text(MINIMAL.replace('"info"', f'"{threshold}"'))
    return str(path)


def test_precedence_of_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Argument, text variable, path variable, ./tracker.toml: each wins over those after it."""
    monkeypatch.chdir(tmp_path)
    a_file(tmp_path, "tracker.toml", "error")
    named, given = a_file(tmp_path, "named.toml", "warn"), a_file(tmp_path, "given.toml", "trace")
    text = MINIMAL.replace('"info"', '"debug"')
    told = "Loading configuration from config file"
    cases: list[tuple[str | None, dict[str, str], str, str]] = [
        (None, {}, "error", f"{told} ./tracker.toml"),
        (None, {PATH: named}, "warn", f"{told} {named}"),
        (None, {PATH: named, TEXT: text}, "debug", f"Loading configuration from environment variable {TEXT}"),
        (given, {PATH: named, TEXT: text}, "trace", f"{told} {given}"),
    ]  # fmt: skip
    for path, environ, threshold, source in cases:
        loaded = load(path, environ)
        assert (loaded.config.logging.threshold, loaded.source) == (threshold, source)


def test_environment_is_the_process_s_own_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the real environment is read, at the time of the call."""
    monkeypatch.setenv(TEXT, MINIMAL)
    monkeypatch.setenv(f"{OVERRIDE}CORE__LISTED", "true")
    assert load().config.core.listed


BAD_FILES = [
    (b"core = ", "not valid TOML: Invalid value (at end of document)"),
    (b'a = "\xff"', "not valid TOML: it is not UTF-8 text"),
    (None, "cannot be read: No such file or directory"),
]


@pytest.mark.parametrize(("content", "reason"), BAD_FILES)
def test_unusable_file(tmp_path: Path, content: bytes | None, reason: str) -> None:
    """The line begins with the file's name."""
    path = tmp_path / "broken.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{re.escape(f'{path}: {reason}')}$"):
        load(str(path), {})


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    """A folder is an unreadable file."""
    with pytest.raises(ConfigError, match=r": cannot be read: Is a directory$"):
        load(None, {PATH: str(tmp_path)})


def test_empty_path_variable() -> None:
    """An empty path is not silently taken for the default file."""
    with pytest.raises(ConfigError) as caught:
        load(None, {PATH: ""})
    assert str(caught.value) == f"the path of the configuration file is empty; is {PATH} set?"


def test_text_that_is_not_toml_is_not_repeated() -> None:
    """The line names the variable and the place, not the text, which may hold a token."""
    error = refused('[http_api.access_tokens]\nadmin = hunter2"')
    assert str(error) == f"{TEXT}: not valid TOML: Invalid value (at line 2, column 9)"


def test_file_with_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    """What Windows editors write is read."""
    path = tmp_path / "tracker.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert load(str(path), {}).config.logging.threshold == "info"


# --- overrides ------------------------------------------------------------------------------------

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
    ("HTTP_API__ACCESS_TOKENS__ADMIN", "1\nx = 2", "http_api.access_tokens.admin", "1\nx = 2"),
    ("HTTP_API__ACCESS_TOKENS", '{a = "x"}', "http_api.access_tokens", {"a": "x"}),
    ("EVENT_LOG__PATH", "2024", "event_log.path", "2024"),
    ("POLICY__CLIENTS_DENIED", '["-XL", "-SD"]', "policy.clients_denied", ("-XL", "-SD")),
    ("POLICY__MAX_TORRENTS", "5", "policy.max_torrents", 5),
    ("EVENT_LOG__SECRETS_PATH", "/a b/c", "event_log.secrets_path", "/a b/c"),
    ("UDP_TRACKERS", '[{bind_address = "[::]:5"}]', "udp_trackers.0.bind_address", Address("::", 5)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "raw", "path", "value"), GOOD_OVERRIDES)
def test_override(name: str, raw: str, path: str, value: object) -> None:
    """An override sets one key, making its section when need be; text leaves stay text."""
    assert at(from_text(MINIMAL, **{name: raw}).config, path) == value


def test_overrides_alone_can_be_the_whole_configuration() -> None:
    """An empty text and the mandatory keys as overrides make a tracker."""
    mandatory = {
        "METADATA__SCHEMA_VERSION": "2.0.0",
        "LOGGING__THRESHOLD": "info",
        "CORE__LISTED": "false",
        "CORE__PRIVATE": "false",
    }
    assert from_text("", **mandatory).config == from_text(MINIMAL).config


def test_overrides_apply_to_a_file_named_on_the_command_line(tmp_path: Path) -> None:
    """Whatever the source, an override has the last word; other variables are left alone."""
    path = a_file(tmp_path, "tracker.toml", "warn")
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
]


@pytest.mark.parametrize(("name", "raw", "line"), BAD_OVERRIDES)
def test_bad_override(name: str, raw: str, line: str) -> None:
    """A wrong value is named by its key, a wrong name by its variable."""
    assert str(refused(MINIMAL, **{name: raw})) == line


def test_unknown_override_is_a_warning() -> None:
    """A misspelt variable is reported like a misspelt key."""
    warnings = from_text(MINIMAL, CORE__LISTE="true").warnings
    assert warnings == ("core.liste: unknown key, ignored; the nearest known one is listed",)


# --- secrets and printing -------------------------------------------------------------------------


def test_secrets_are_in_no_repr_and_no_printed_form() -> None:
    """Tokens are for comparing with what a client sends, and for nothing else."""
    text = f'{MINIMAL}http_api.access_tokens = {{admin = "hunter2", ops = "hunter3"}}\n'
    text += 'core.database.path = "mysql://root:hunter4@db/tracker"'
    loaded = from_text(text)
    printed = effective(loaded.config)
    assert at(loaded.config, "http_api.access_tokens.admin") == "hunter2"
    assert printed["http_api"]["access_tokens"] == {"admin": "***", "ops": "***"}
    assert "hunter" not in f"{loaded!r}{loaded}{json.dumps(printed)}"


def test_effective_is_plain_and_complete() -> None:
    """The printed form is JSON with every known key, addresses in their usual spelling."""
    text = (
        f'{MINIMAL}core.net.external_ip = "2001:db8::1"\n[[udp_trackers]]\nbind_address = "[::]:0"'
    )
    printed = json.loads(json.dumps(effective(from_text(text).config)))
    assert printed["core"]["net"] == {
        "external_ip": "2001:db8::1",
        "on_reverse_proxy": False,
        "trusted_proxies": [],
        "forwarded_header": "X-Forwarded-For",
    }
    network = {"external_ip": None, "ipv6_v6only": False}
    assert printed["udp_trackers"] == [
        {"bind_address": "[::]:0", "cookie_lifetime": 120, "network": network}
    ]
    assert printed["http_api"] is None
    assert printed["event_log"] == attrs.asdict(EventLog())


# --- other schema versions ------------------------------------------------------------------------

FLAT = """
log_level = "debug"
mode = "private_listed"
db_driver = "Sqlite3"
db_path = "data.db"
announce_interval = 300
min_announce_interval = 200
max_peer_timeout = 1000
on_reverse_proxy = true
external_ip = "203.0.113.9"
tracker_usage_statistics = false
persistent_torrent_completed_stat = true
inactive_peer_cleanup_interval = 60
remove_peerless_torrents = false

[[udp_trackers]]
enabled = false
bind_address = "0.0.0.0:1"

[[udp_trackers]]
enabled = true
bind_address = "0.0.0.0:2"

[[http_trackers]]
enabled = true
bind_address = "0.0.0.0:3"
ssl_enabled = true
ssl_cert_path = "c"
ssl_key_path = "k"

[http_api]
enabled = true
bind_address = "127.0.0.1:4"
ssl_enabled = false
ssl_cert_path = ""
ssl_key_path = ""

[http_api.access_tokens]
admin = "MyAccessToken"
"""


def test_flat_file_of_v2() -> None:
    """A flat file means the same as its translation by hand (contract 4.3)."""
    by_hand = """
    metadata.schema_version = "2.0.0"
    logging.threshold = "debug"
    udp_trackers = [{bind_address = "0.0.0.0:2"}]
    [core]
    listed = true
    private = true
    inactive_peer_cleanup_interval = 60
    tracker_usage_statistics = false
    announce_policy = {interval = 300, interval_min = 200}
    net = {external_ip = "203.0.113.9", on_reverse_proxy = true}
    tracker_policy.max_peer_timeout = 1000
    tracker_policy.persistent_torrent_completed_stat = true
    tracker_policy.remove_peerless_torrents = false
    [[http_trackers]]
    bind_address = "0.0.0.0:3"
    tsl_config = {ssl_cert_path = "c", ssl_key_path = "k"}
    [http_api]
    bind_address = "127.0.0.1:4"
    access_tokens.admin = "MyAccessToken"
    """
    loaded = from_text(FLAT)
    assert loaded.config == from_text(by_hand).config
    assert loaded.warnings == (f"core.database: accepted and ignored: {IGNORED['core.database']}",)


@pytest.mark.parametrize(
    ("mode", "listed", "private"),
    [
        ("public", False, False),
        ("listed", True, False),
        ("private", False, True),
        ("private_listed", True, True),
    ],
)
def test_modes_of_flat_files(mode: str, listed: bool, private: bool) -> None:
    """Four modes are two booleans."""
    core = from_text(f'mode = "{mode}"').config.core
    assert (core.listed, core.private) == (listed, private)


def test_overrides_of_a_flat_file_have_the_present_names() -> None:
    """Flat files had no overrides: the variables in use are those of schema 2.0.0."""
    config = from_text(FLAT, CORE__LISTED="false", HTTP_API__ACCESS_TOKENS__ADMIN="9").config
    assert config.core.listed is False
    assert at(config, "http_api.access_tokens") == {"admin": "9"}


FLAT_PROBLEMS = [
    ('log_level = "x"', 'log_level: must be one of off, error, warn, info, debug, trace; not "x"'),
    ("announce_interval = 0", f"announce_interval: {SECONDS}0"),
    (
        '[[udp_trackers]]\nenabled = false\n[[udp_trackers]]\nenabled = true\nbind_address = "x"',
        f'udp_trackers[1].bind_address: {NO_ADDRESS[0]}"x"',
    ),
    (
        "[[http_trackers]]\nenabled = true\nssl_enabled = true\nssl_cert_path = 'a'",
        "Missing mandatory configuration option. Option path: http_trackers[0].ssl_key_path",
    ),
    ("[http_api]\nenabled = 1", "http_api.enabled: must be true or false, not 1"),
]


@pytest.mark.parametrize(("text", "line"), FLAT_PROBLEMS)
def test_problems_of_a_flat_file_have_its_own_names(text: str, line: str) -> None:
    """The user reads the names that stand in the file."""
    assert str(refused(f'mode = "public"\ndb_driver = "Sqlite3"\n{text}')) == line


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        ("", "Missing mandatory configuration option. Option path: mode"),
        ('mode = "open"', "mode: must be one of public, listed, private, private_listed"),
        ("mode = [1]", "mode: must be one of public, listed, private, private_listed"),
    ],
)
def test_flat_file_must_say_its_mode(mode: str, line: str) -> None:
    """A tracker is never made public by a missing or misspelt word."""
    assert str(refused(f'log_level = "info"\n{mode}')) == line


def test_flat_file_without_api() -> None:
    """A disabled API is no API."""
    config = from_text('mode = "public"\nlog_level = "info"\n[http_api]\nenabled = false').config
    assert config.http_api is None


def test_file_of_schema_3() -> None:
    """What schema 3.0.0 moved is moved back; what has no use here is noted (contract 4.4)."""
    loaded = from_text(
        V3.replace('"info"', '"hyper=off, Debug"')
        + """
        logging.trace_style = "json"
        core.announce_policy.max_peers_per_announce = 50
        udp_tracker_server.max_connection_id_errors_per_ip = 7
        udp_tracker_server.ip_bans_reset_interval_in_secs = 3600
        udp_tracker_server.connection_id_validation = "Disabled"
        [[udp_trackers]]
        cookie_lifetime = 60
        network = {external_ip = "203.0.113.9", ipv6_v6only = true}
        [[http_trackers]]
        public_url = "https://tracker.example.com"
        network = {external_ip = "0.0.0.0", on_reverse_proxy = true}
        tls_config = {ssl_cert_path = "a", ssl_key_path = "b"}
        """
    )
    assert loaded.config.metadata.schema_version == "2.0.0"
    assert loaded.config.logging.threshold == "debug"
    assert loaded.config.core.announce_policy.max_peers_per_announce == 50
    assert at(loaded.config, "udp_trackers.0.network") == UdpNetwork(
        ip_address("203.0.113.9"), ipv6_v6only=True
    )
    assert at(loaded.config, "http_trackers.0.network") == HttpNetwork(on_reverse_proxy=True)
    assert loaded.config.core.net == Net()
    assert at(loaded.config, "http_trackers.0.tls") == TlsFiles("a", "b")
    assert loaded.config.policy == Policy(
        connection_id_validation="disabled", max_connection_id_errors=7, ban_seconds=3600
    )
    assert at(loaded.config, "udp_trackers.0.cookie_lifetime") == 60
    assert sorted(line.partition(":")[0] for line in loaded.warnings) == [
        "http_trackers[0].public_url",
        "logging.trace_style",
    ]


@pytest.mark.parametrize(
    ("lifetime", "seconds"),
    [
        ("cookie_lifetime = 60", 60),
        ("cookie_lifetime = {secs = 120, nanos = 0}", 120),
        ("cookie_lifetime.secs = 86400", 86400),
        ("[udp_trackers.cookie_lifetime]\nsecs = 0\nnanos = 5", 1),
    ],
)
def test_cookie_lifetime_in_both_forms(lifetime: str, seconds: int) -> None:
    """A whole number, and the table of the reference; a started second counts as a whole one."""
    loaded = from_text(f"{MINIMAL}[[udp_trackers]]\n{lifetime}")
    assert at(loaded.config, "udp_trackers.0.cookie_lifetime") == seconds
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    ("lifetime", "what"),
    [
        ("{secs = 0, nanos = 0}", "seconds from 1 to 86400, not 0"),
        ("{secs = 86400, nanos = 1}", "seconds from 1 to 86400, not 86401"),
        ("{secs = 1, nanos = 1000000000}", "nanoseconds from 0 to 999999999, not 1000000000"),
        ("{secs = true}", "seconds from 0 to 86400, not true"),
        ("{nanos = 0}", "seconds from 1 to 86400, not a table"),
        ("{secs = 1, millis = 0}", "seconds from 1 to 86400, not a table"),
        ('"120s"', 'seconds from 1 to 86400, not "120s"'),
    ],
)
def test_bad_cookie_lifetimes(lifetime: str, what: str) -> None:
    """Every other lifetime is a problem that names the key."""
    problem = str(refused(f"{MINIMAL}[[udp_trackers]]\ncookie_lifetime = {lifetime}"))
    assert problem == f"udp_trackers[0].cookie_lifetime: must be a whole number of {what}"


def test_settings_of_the_development_line() -> None:
    """Every setting of the reference's listeners and API is known: it counts, or is noted."""
    loaded = from_text(
        f"""{MINIMAL}
        [[udp_trackers]]
        ipv6_v6only = true
        tracker_usage_statistics = true
        max_connection_id_errors_per_ip = 10
        public_url = "udp://tracker.example.com:6969/announce"
        network = {{on_reverse_proxy = false}}
        [[http_trackers]]
        ipv6_v6only = true
        tracker_usage_statistics = true
        use_ip_from_query_string = false
        [http_api]
        public_url = "https://tracker.example.com"
        tracker_usage_statistics = true
        network = {{ipv6_v6only = true}}
        [health_check_api]
        public_url = "https://tracker.example.com"
        network.ipv6_v6only = true
        """
    )
    assert at(loaded.config, "udp_trackers.0.network.ipv6_v6only") is True
    assert at(loaded.config, "http_trackers.0.network.ipv6_v6only") is True
    assert [line for line in loaded.warnings if ": accepted and ignored: " not in line] == []
    assert len(loaded.warnings) == 11
    problem = str(refused(f"{MINIMAL}[[udp_trackers]]\nipv6_v6only = 1"))
    assert problem == "udp_trackers[0].ipv6_v6only: must be true or false, not 1"


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


def test_more_peers_than_a_reply_has() -> None:
    """A larger number than fits into a reply is told to be too large."""
    (warning,) = from_text(f"{MINIMAL}core.announce_policy.max_peers_per_announce = 200").warnings
    assert warning == "core.announce_policy.max_peers_per_announce: a reply has 74 peers at most"


V3_PROBLEMS = [
    (
        V3.replace('logging.trace_filter = "info"', ""),
        "Missing mandatory configuration option. Option path: logging.trace_filter",
    ),
    (
        V3.replace('"info"', '"hyper=off"'),
        ("logging.trace_filter: must be one of off, error, warn, info, debug, trace; "
        'not "hyper=off"'),
    ),
    (
        f'{V3}[[udp_trackers]]\nnetwork.external_ip = "x"',
        'udp_trackers[0].network.external_ip: must be an IP address, not "x"',
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), V3_PROBLEMS)
def test_problems_of_a_schema_3_file(text: str, line: str) -> None:
    """Problems have the names of the user's file."""
    assert str(refused(text)) == line


def test_listeners_of_a_schema_3_file_differ() -> None:
    """Each listener has its own settings, and none inherits the trust in another one's proxy."""
    config = from_text(
        f"{V3}http_trackers = [{{network = {{on_reverse_proxy = true}}}}, "
        '{bind_address = "0.0.0.0:1", network = {external_ip = "2.2.2.2"}}]\n'
        '[[udp_trackers]]\nnetwork.external_ip = "1.1.1.1"'
    ).config
    behind, direct = (one.network for one in config.http_trackers)
    assert (behind, direct) == (
        HttpNetwork(on_reverse_proxy=True),
        HttpNetwork(ip_address("2.2.2.2")),
    )
    assert config.udp_trackers[0].network.external_ip == ip_address("1.1.1.1")


# --- anything at all ------------------------------------------------------------------------------

TOML_VALUES = [
    "1",
    "-1",
    "1.5",
    "true",
    '""',
    '"x"',
    "[]",
    "[1]",
    "[{}]",
    "{}",
    "{a = 1}",
    "07:32:00",
]
FLAT_KEYS = sorted(set(re.findall(r"(?m)^\w+(?= = )", FLAT.partition("[[")[0])))
TABLES = ["udp_trackers", "http_trackers", "http_api", "http_api.tsl_config", "core.private_mode"]
PATHS = [
    *known_paths(), *IGNORED, *TABLES, "metadata", "logging", "core", "event_log", "core.net",
    "udp_trackers.network", "logging.trace_filter", "nothing.like.it",
]  # fmt: skip


def dug(value: str, keys: str, listed: bool) -> str:
    """A TOML value at dotted keys, inside an array when `listed`."""
    table = f"{{{keys} = {value}}}" if keys else value
    return f"[{table}]" if listed else table


@given(
    st.sampled_from([MINIMAL, PRIVATE, V3]),
    st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(TOML_VALUES), st.booleans())),
)
def test_any_value_anywhere_loads_or_is_refused_in_lines(
    text: str, changes: list[tuple[str, str, bool]]
) -> None:
    """No value in any place ends in another error than the one with the lines."""
    overrides = {}
    for path, value, listed in changes:
        top, _, below = path.partition(".")
        overrides[top.upper()] = dug(value, below, listed)
    loads_or_refuses(text, overrides)


@given(st.dictionaries(st.sampled_from(FLAT_KEYS + TABLES[:3]), st.sampled_from(TOML_VALUES)))
def test_any_flat_file_loads_or_is_refused_in_lines(document: dict[str, str]) -> None:
    """The same holds for the keys of flat files."""
    loads_or_refuses("\n".join(f"{key} = {value}" for key, value in document.items()), {})


def loads_or_refuses(text: str, overrides: dict[str, str]) -> None:
    """Loads; every problem must be a line with a text."""
    try:
        effective(from_text(text, **overrides).config)
    except ConfigError as error:
        lines = error.problems
    else:
        return
    told = re.compile(r"\S+: \S|Missing mandatory|Unsupported|Configuration error")
    assert lines
    assert [line for line in lines if not told.match(line)] == []

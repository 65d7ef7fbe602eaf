"""Files of other schema versions load: the flat files of version 2, and schema 3.0.0."""

from ipaddress import ip_address

import pytest

from tests.tracker.config.support import (
    FLAT,
    MINIMAL,
    NO_ADDRESS,
    SECONDS,
    V3,
    at,
    from_text,
    refused,
)
from tracker.config import HttpNetwork, Net, Policy, TlsFiles, UdpNetwork
from tracker.config.keys import IGNORED


def test_flat_file_of_v2() -> None:
    """A flat file equals its translation by hand (contract 4.3)."""
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
    """Each of the four modes stands for two booleans."""
    core = from_text(f'mode = "{mode}"').config.core
    assert (core.listed, core.private) == (listed, private)


def test_overrides_of_a_flat_file_have_the_names_of_schema_2() -> None:
    """Overrides of a flat file have the names of schema 2.0.0, because flat files had no
    overrides."""
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
    """A message names the key as it stands in the user's file."""
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
    """A missing or misspelt mode is refused, so that it cannot make a tracker public."""
    assert str(refused(f'log_level = "info"\n{mode}')) == line


def test_flat_file_without_api() -> None:
    """A disabled API is absent."""
    config = from_text('mode = "public"\nlog_level = "info"\n[http_api]\nenabled = false').config
    assert config.http_api is None


def test_file_of_schema_3() -> None:
    """A schema 3.0.0 file loads with its moved keys, and a warning names each unused key (contract
    4.4)."""
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
    assert at(loaded.config, "http_trackers.0.public_url") == "https://tracker.example.com"
    assert [line.partition(":")[0] for line in loaded.warnings] == ["logging.trace_style"]


@pytest.mark.parametrize(
    ("lifetime", "seconds"),
    [
        ("cookie_lifetime = 60", 60),
        ("cookie_lifetime = {secs = 120, nanos = 0}", 120),
        ("cookie_lifetime.secs = 86400", 86400),
        ("[udp_trackers.cookie_lifetime]\nsecs = 0\nnanos = 5", 1),
        ("cookie_lifetime = {secs = 1, nanos = 1000000000}", 2),
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
        ("{secs = 0, nanos = 0}", "a whole number of seconds from 1 to 86400, not 0"),
        ("{secs = 86400, nanos = 1}", "a whole number of seconds from 1 to 86400, not 86401"),
        ("{secs = 1, nanos = -1}", "a whole number of nanoseconds from 0 to 4294967295, not -1"),
        ("{secs = true}", "a whole number of seconds from 0 to 86400, not true"),
        ("{nanos = 0}", "a whole number of seconds from 1 to 86400, not 0"),
        ("{secs = 1, millis = 0}", "secs and nanos alone, as a table"),
        ('"120s"', 'a whole number of seconds from 1 to 86400, not "120s"'),
    ],
)
def test_bad_cookie_lifetimes(lifetime: str, what: str) -> None:
    """Every other lifetime is a problem that names the key."""
    problem = str(refused(f"{MINIMAL}[[udp_trackers]]\ncookie_lifetime = {lifetime}"))
    verb = "hold" if what.startswith("secs") else "be"
    assert problem == f"udp_trackers[0].cookie_lifetime: must {verb} {what}"


def test_settings_of_the_development_line() -> None:
    """Every setting of the reference's listeners and API is known: it counts, or is noted."""
    loaded = from_text(
        f"""{MINIMAL}
        [[udp_trackers]]
        ipv6_v6only = true
        tracker_usage_statistics = true
        max_connection_id_errors_per_ip = 7
        public_url = "udp://tracker.example.com:6969/announce"
        network = {{on_reverse_proxy = false}}
        [[http_trackers]]
        ipv6_v6only = true
        tracker_usage_statistics = true
        use_ip_from_query_string = false
        [http_api]
        access_tokens.admin = "x"
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
    assert len(loaded.warnings) == 9
    assert loaded.config.policy.max_connection_id_errors == 7
    problem = str(refused(f"{MINIMAL}[[udp_trackers]]\nipv6_v6only = 1"))
    assert problem == "udp_trackers[0].ipv6_v6only: must be true or false, not 1"


@pytest.mark.parametrize(
    ("values", "more", "counts", "warnings"),
    [
        ((7, 7), "", 7, 0),
        ((7, 8), "", 10, 2),
        ((7, 7), "policy.max_connection_id_errors = 3", 3, 2),
    ],
)
def test_errors_of_connection_ids_by_listener(
    values: tuple[int, int], more: str, counts: int, warnings: int
) -> None:
    """One limit that all UDP listeners share counts, unless `[policy]` has its own."""
    listeners = "".join(
        f'[[udp_trackers]]\nbind_address = "0.0.0.0:0"\nmax_connection_id_errors_per_ip = {value}\n'
        for value in values
    )
    loaded = from_text(f"{MINIMAL}{more}\n{listeners}")
    assert loaded.config.policy.max_connection_id_errors == counts
    assert len(loaded.warnings) == warnings


@pytest.mark.parametrize(
    ("values", "more", "counts", "warnings"),
    [
        (("true", "true"), "", "always", 0),
        (("false", "false"), "", "ignored", 0),
        (("true", "false"), "", "ignored", 2),
        (("true", ""), "", "ignored", 1),
        (('"yes"',), "", "ignored", 1),
        (("true",), 'policy.ip_parameter = "local"', "local", 1),
    ],
)
def test_the_ip_parameter_by_listener(
    values: tuple[str, ...], more: str, counts: str, warnings: int
) -> None:
    """The reference's switch of each HTTP listener counts where all of them have it alike, because
    the `ip` that a client claims is taken on all of them or on none.
    """
    listeners = "".join(
        '[[http_trackers]]\nbind_address = "0.0.0.0:0"\n'
        + (f"use_ip_from_query_string = {value}\n" if value else "")
        for value in values
    )
    loaded = from_text(f"{MINIMAL}{more}\n{listeners}")
    assert loaded.config.policy.ip_parameter == counts
    assert len(loaded.warnings) == warnings


def test_bad_errors_of_connection_ids() -> None:
    """A problem has the name in the user's file."""
    wrong = "[[udp_trackers]]\nmax_connection_id_errors_per_ip = -1"
    assert str(refused(f"{MINIMAL}{wrong}")).startswith(
        "udp_trackers[0].max_connection_id_errors_per_ip: must be a whole number"
    )


@pytest.mark.parametrize(
    ("filter_", "threshold"),
    [("torrust=debug", "debug"), ("torrust=debug,warn", "warn"), ("x,y[z]=Trace", "trace")],
)
def test_filters_of_modules(filter_: str, threshold: str) -> None:
    """A filter of modules gives its plain level or, without one, that of its first module."""
    loaded = from_text(V3.replace('"info"', f'"{filter_}"'))
    assert loaded.config.logging.threshold == threshold


V3_PROBLEMS = [
    (
        V3.replace('logging.trace_filter = "info"', ""),
        "Missing mandatory configuration option. Option path: logging.trace_filter",
    ),
    (
        V3.replace('"info"', '"hyper=loud"'),
        ("logging.trace_filter: must be one of off, error, warn, info, debug, trace; "
        'not "hyper=loud"'),
    ),
    (
        f'{V3}[[udp_trackers]]\nnetwork.external_ip = "x"',
        'udp_trackers[0].network.external_ip: must be an IP address, not "x"',
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), V3_PROBLEMS)
def test_problems_of_a_schema_3_file(text: str, line: str) -> None:
    """A message names the key as it stands in the user's file."""
    assert str(refused(text)) == line


def test_listeners_of_a_schema_3_file_differ() -> None:
    """Each listener has its own settings, and none inherits another one's trust in a proxy."""
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

"""Good values of the configuration load."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tracker.config.support import MINIMAL, PRIVATE, at, from_text
from tracker.config import Address, Config, Core, Logging, Metadata, Net, TlsFiles, UnixAddress

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
    (
        "core.net.trusted_proxies",
        '["::ffff:10.0.0.1", "::ffff:10.0.0.0/104", "::/0"]',
        ("10.0.0.1/32", "10.0.0.0/8", "::/0"),
    ),
    ("core.net.external_ip", '""', None),
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
    ("policy.contact", '" ask üs: https://example.org/{a} "', "ask üs: https://example.org/{a}"),
    ("policy.enforce_interval_min", "true", True),
    ("policy.interval_jitter", "86400", 86400),
    ("policy.http_request_seconds", "1", 1),
]


@pytest.mark.parametrize(("path", "toml", "value"), GOOD_VALUES)
def test_value_is_read(path: str, toml: str, value: object) -> None:
    """Each key accepts its values, the ends of their ranges included."""
    assert at(from_text(f"{MINIMAL}{path} = {toml}").config, path) == value


def test_words_may_be_written_in_any_case() -> None:
    loaded = from_text(MINIMAL.replace('"info"', '"WARN"') + 'event_log.durability = "Strict"')
    assert loaded.config.logging.threshold == "warn"
    assert loaded.config.event_log.durability == "strict"


def test_absent_sections_are_defaults_or_off() -> None:
    """Four mandatory keys are enough. Without listeners only the health check is served."""
    config = from_text(MINIMAL).config
    assert config == Config(Metadata("2.0.0"), Logging("info"), Core(listed=False, private=False))
    assert (config.udp_trackers, config.http_trackers, config.http_api) == ((), (), None)
    assert config.core.net == Net(external_ip=None, on_reverse_proxy=False)


def test_listeners_without_an_address_have_the_default_one() -> None:
    """An empty entry is a listener on its default port."""
    config = from_text(f"{MINIMAL}\n[[udp_trackers]]\n[[http_trackers]]\n[http_api]").config
    assert at(config, "udp_trackers.0.bind_address") == Address.parse("0.0.0.0:6969")
    assert at(config, "http_trackers.0.bind_address") == Address.parse("0.0.0.0:7070")
    assert at(config, "http_api.bind_address") == Address("127.0.0.1", 1212)


def test_a_private_tracker_may_have_a_private_mode_section() -> None:
    config = from_text(f"{PRIVATE}core.private_mode.check_keys_expiration = false").config
    assert at(config, "core.private_mode.check_keys_expiration") is False


@pytest.mark.parametrize("name", ["tsl_config", "tls_config"])
@pytest.mark.parametrize(
    ("header", "path"),
    [("[http_api.{}]", "http_api"), ("[[http_trackers]]\n[http_trackers.{}]", "http_trackers.0")],
)
def test_tls_files_under_both_names(name: str, header: str, path: str) -> None:
    """HTTP trackers and the API accept both spellings of the TLS table."""
    table = header.format(name)
    config = from_text(f'{MINIMAL}{table}\nssl_cert_path = "a"\nssl_key_path = "b"').config
    assert at(config, f"{path}.tls") == TlsFiles("a", "b")


@given(
    st.builds(Address, st.ip_addresses().map(lambda ip: str(ip)), st.integers(0, 65535)),
)
def test_address_is_read_back_from_its_text(address: Address) -> None:
    """A printed address parses to the same address."""
    assert Address.parse(str(address)) == address

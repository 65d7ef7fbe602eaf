"""The shipped configuration has every key with its default and a comment."""

import re
from pathlib import Path

import tracker.config
from tests.tracker.config.support import at, from_text
from tracker.config import (
    AnnouncePolicy,
    Config,
    Console,
    Core,
    EventLog,
    HealthCheckApi,
    HttpApi,
    HttpTracker,
    Logging,
    Metadata,
    Policy,
    TlsFiles,
    UdpTracker,
    load,
)
from tracker.config.keys import IGNORED, known_paths

SHIPPED = Path(tracker.config.__file__).with_name("default.toml")


def test_shipped_file_serves_a_public_tracker_with_the_defaults() -> None:
    """Every value in the shipped file is the default, except for limits that stop floods."""
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
        console=Console(),
        event_log=EventLog(),
        policy=Policy(requests_per_minute=6000, max_torrents=2_000_000, max_peers=5_000_000),
    )


def test_shipped_values_are_the_documented_ones() -> None:
    """The shipped values are fixed here, because the test above allows the file and the defaults to
    change together."""
    config = load(str(SHIPPED), environ={}).config
    assert config.core.announce_policy == AnnouncePolicy(interval=120, interval_min=120)
    assert [str(udp.bind_address) for udp in config.udp_trackers] == ["0.0.0.0:6969"]
    assert [str(http.bind_address) for http in config.http_trackers] == ["0.0.0.0:7070"]
    assert str(at(config, "http_api.bind_address")) == "127.0.0.1:1212"
    assert str(config.health_check_api.bind_address) == "127.0.0.1:1313"
    assert str(at(config, "console.bind_address")) == "127.0.0.1:1414"
    log = config.event_log
    assert (log.durability, log.keep_days, log.shred_days, log.follower) == ("group", 30, 7, "on")
    assert (log.segment_bytes, log.keep_bytes) == (67_108_864, 20_000_000_000)


def paths_shown(text: str) -> dict[str, bool]:
    """Maps each key of a TOML text, commented out or not, to whether a comment stands above it."""
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
    database = {"core.database.driver", "core.database.path"}
    assert {*known_paths(), *database} <= paths_shown(SHIPPED.read_text()).keys()


def test_every_key_in_the_shipped_file_is_explained_and_known() -> None:
    """Each key has a comment above it. The second TLS spelling refers to the first."""
    known = {*known_paths(), "core.database.driver", "core.database.path"}
    labelled = [
        f"http_api.{table}.admin" for table in ("access_tokens", "token_scopes", "token_addresses")
    ]
    for path, explained in paths_shown(SHIPPED.read_text()).items():
        if path in known and ".tls_config." not in path:
            assert explained, path
        if not any(other.startswith(f"{path}.") for other in known):
            assert path in known or path in labelled, path


def test_optional_parts_of_the_shipped_file_work_when_uncommented() -> None:
    """The shipped file still loads when the `# ` before its optional keys and tables is removed."""
    text = re.sub(r"(?m)^# (?=\[|[a-z0-9_]+ = )", "", SHIPPED.read_text())
    text = re.sub(r"\[(http_trackers|http_api)\.tls_config\]\n(.+\n){2}", "", text)
    loaded = from_text(text.replace("private = false", "private = true"))
    assert loaded.config.core.private_mode is not None
    assert at(loaded.config, "http_trackers.0.tls") == TlsFiles(
        "./storage/tracker/tls/tracker.crt", "./storage/tracker/tls/tracker.key"
    )
    assert loaded.warnings == (f"core.database: accepted and ignored: {IGNORED['core.database']}",)

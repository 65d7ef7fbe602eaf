"""`tracker check-config` prints every problem at once, or the configuration in force as TOML with
comments."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
import tomli

from tracker.cli import main, toml
from tracker.cli.log_size import estimate, size
from tracker.config import effective, load

if TYPE_CHECKING:
    from pathlib import Path

MINIMAL = """
metadata.schema_version = "2.0.0"
logging.threshold = "info"
core.listed = true
core.private = false
core.anounce_policy.interval = 7
[[http_trackers]]
[http_api.access_tokens]
admin = "TopSecret"
"odd label" = "AlsoSecret"
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A valid file in the current folder, without configuration from the environment."""
    for name in ("_TOML", "_TOML_PATH"):
        monkeypatch.delenv(f"TORRUST_TRACKER_CONFIG{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tracker.toml"
    path.write_text(MINIMAL)
    return path


def checked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["check-config", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def without_none(value: Any) -> Any:
    """The value without its `None` entries, because TOML has none."""
    if isinstance(value, dict):
        return {name: without_none(one) for name, one in value.items() if one is not None}
    return [without_none(one) for one in value] if isinstance(value, list) else value


def test_a_valid_file_prints_the_configuration_in_force(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The output has source, warnings and configuration. It shows no secret, and the command
    creates no file."""
    code, out, err = checked(capsys)
    assert (code, err) == (0, "")
    first, second, *_ = out.splitlines()
    assert first == "# Loading configuration from config file ./tracker.toml"
    assert second.startswith("# warning: core.anounce_policy: ")
    assert "announce_policy" in second
    assert tomli.loads(out) == without_none(effective(load(str(config)).config))
    assert tomli.loads(out)["http_api"]["access_tokens"] == {"admin": "***", "odd label": "***"}
    assert "Secret" not in out
    assert [path.name for path in config.parent.iterdir()] == ["tracker.toml"]


def test_printed_configuration_loads(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The printed configuration loads, and prints the same again."""
    _, out, _ = checked(capsys, "--config", str(config))
    again = config.with_name("again.toml")
    again.write_text(out)
    code, repeated, _ = checked(capsys, "--config", str(again))
    assert code == 0
    assert tomli.loads(repeated) == tomli.loads(out)


def test_estimate_is_printed(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line of arithmetic estimates the log for each number of peers, by the configured
    interval."""
    config.write_text(MINIMAL.replace("anounce", "announce").replace("= 7", "= 1800"))
    _, out, _ = checked(capsys)
    lines = [line for line in out.splitlines() if " peers every 1800 s: " in line]
    assert [line.split()[1] for line in lines] == ["1,000", "100,000", "1,000,000"]
    for line in lines:
        assert "× 112 B" in line
        assert "× 128 B" in line
        assert line.endswith(" a day")
    kept = [line.partition("kept: ")[2] for line in out.splitlines() if "kept: " in line]
    assert kept[0].endswith(" (keep_days), 30 days")
    assert kept[2].startswith("20 GB (keep_bytes), ")


def test_all_problems_come_at_once(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every problem comes with the path of its key and a reason. Warnings come too, because they
    may explain a problem."""
    config.write_text(
        'metadata.schema_version = "2.0.0"\nlogging.treshold = "info"\ncore.listed = "yes"\n'
        'core.private = false\nhttp_api.bind_address = "nowhere"\nevent_log.linger_ms = -1\n'
    )
    code, out, err = checked(capsys)
    assert (code, out) == (1, "")
    for path in ("logging.threshold", "core.listed: ", "http_api.bind_address: ", "linger_ms: "):
        assert sum(path in line for line in err.splitlines() if "warning" not in line) == 1, path
    assert "warning: logging.treshold: " in err


def test_missing_certificates_are_reported(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each listener with an unusable certificate is named."""
    files = 'tls_config = { ssl_cert_path = "./no.crt", ssl_key_path = "./no.key" }'
    config.write_text(
        MINIMAL.replace("[[http_trackers]]", f"[[http_trackers]]\n{files}").replace(
            "[http_api.access_tokens]", f"[http_api]\n{files}\n[http_api.access_tokens]"
        )
    )
    code, out, err = checked(capsys)
    assert (code, out) == (1, "")
    assert err.count("no.crt") == 2
    assert "http_trackers[0]: " in err
    assert "http_api: " in err


def test_what_a_start_would_find_in_its_way(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files where folders have to be, links to nowhere, and addresses of other hosts are problems,
    in the words of a start; a port in use is none, because the tracker may be running.
    """
    (config.parent / "file").touch()
    (config.parent / "link").symlink_to("nowhere")
    good = config.read_text()
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        port = used.getsockname()[1]
        config.write_text(f'{good}\n[health_check_api]\nbind_address = "127.0.0.1:{port}"')
        code, out, err = checked(capsys)
    assert (code, err) == (0, "")
    assert f"# note: cannot listen on 127.0.0.1:{port} for the health check: " in out
    config.write_text(
        f'{good}\n[event_log]\npath = "file/log"\nsecrets_path = "link"\n'
        '[health_check_api]\nbind_address = "203.0.113.9:0"\n[[udp_trackers]]\nbind_address = "[fe80::1]:0"'
    )
    code, out, err = checked(capsys)
    assert (code, out) == (1, "")
    assert err.splitlines()[-4:] == [
        "tracker: the event log in file/log cannot be used: [Errno 20] Not a directory: 'file/log'",
        "link is a link to nowhere, which is not there: is its disk mounted?",
        "cannot listen on [fe80::1]:0 for UDP: Invalid argument",
        "cannot listen on 203.0.113.9:0 for the health check: Cannot assign requested address",
    ]
    config.write_text(
        good.replace("[http_api.", '[http_api]\nbind_address = "unix:/dev/null"\n[http_api.')
    )
    assert "unix:/dev/null for the API: Address already in use" in checked(capsys)[2]


def test_a_missing_file_is_one_line_that_names_it(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.unlink()
    code, out, err = checked(capsys)
    assert (code, out) == (1, "")
    advice = "`tracker config --default` prints one to begin with"
    assert err == f"tracker: ./tracker.toml: cannot be read: No such file or directory; {advice}\n"
    assert main(["config", "--default"]) == 0
    config.write_text(capsys.readouterr().out)
    assert checked(capsys)[0] == 0


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"a": 1, "b": True, "c": "text", "d": [1, 2], "e": []},
        {"a": {"b": {"c": 1}, "d": 2}, "z": 3},
        {"a": [{"b": 1, "c": {"d": 1}}, {}, {"b": [{"x": 1}, {"x": 2}]}]},
        {"odd key": {"dotted.key": 1, "": 2, 'quo"te': {"ü": 3}}},
        {"text": 'a"b\\c\n\t\x00\x1f\x7f ü \U0001f600'},
    ],
    ids=["empty", "values", "tables", "arrays", "keys", "text"],
)
def test_written_toml_reads_as_the_same_document(document: dict[str, Any]) -> None:
    assert tomli.loads("\n".join(toml.lines(document))) == document


def test_estimate_grows_with_announces() -> None:
    """In a busy log an announce costs the size of its record. In a quiet log it also costs a frame
    and a watermark."""
    quiet, busy = estimate(1, 3600, 5), estimate(10_000_000, 120, 5)
    assert quiet.bytes_a_day == pytest.approx(24 * (112 + 2 * 128), rel=0.01)
    assert busy.bytes_a_day == pytest.approx(busy.announces * 112 * 86_400, rel=0.01)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (171_500_000, "172 MB"), (2.5e15, "2,500 TB")],
)
def test_sizes_have_three_digits_and_a_decimal_unit(count: float, text: str) -> None:
    assert size(count) == text

"""The configuration comes from an argument, a variable or a file."""

import re
from pathlib import Path

import pytest

from tests.tracker.config.support import MINIMAL, OVERRIDE, PATH, TEXT, refused, write_config
from tracker.config import ConfigError, load


def test_precedence_of_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Argument, text variable, path variable and ./tracker.toml win in this order."""
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path, "tracker.toml", "error")
    named, given = (
        write_config(tmp_path, "named.toml", "warn"),
        write_config(tmp_path, "given.toml", "trace"),
    )
    text = MINIMAL.replace('"info"', '"debug"')
    prefix = "Loading configuration from config file"
    cases: list[tuple[str | None, dict[str, str], str, str]] = [
        (None, {}, "error", f"{prefix} ./tracker.toml"),
        (None, {PATH: named}, "warn", f"{prefix} {named}"),
        (None, {PATH: named, TEXT: text}, "debug", f"Loading configuration from environment variable {TEXT}"),
        (given, {PATH: named, TEXT: text}, "trace", f"{prefix} {given}"),
    ]  # fmt: skip
    for path, environ, threshold, source in cases:
        loaded = load(path, environ)
        assert (loaded.config.logging.threshold, loaded.source) == (threshold, source)


def test_old_names_of_variables(tmp_path: Path) -> None:
    """The names that the reference's containers set before 3.0.0 count where no new one does. An
    old token replaces the one in the file, and turns no API on.
    """
    old = "TORRUST_TRACKER_CONFIG"
    named = write_config(tmp_path, "named.toml", "warn")
    loaded = load(None, {"TORRUST_TRACKER_PATH_CONFIG": named})
    assert loaded.config.logging.threshold == "warn"
    api = '[http_api.access_tokens]\nadmin = "MyAccessToken"'
    environ = {old: f"{MINIMAL}{api}", "TORRUST_TRACKER_API_ADMIN_TOKEN": "s3cret"}
    loaded = load(None, environ)
    assert loaded.source == f"Loading configuration from environment variable {old}"
    assert loaded.config.http_api is not None
    assert loaded.config.http_api.access_tokens == {"admin": "s3cret"}
    assert load(None, {**environ, TEXT: MINIMAL}).config.http_api is None
    newer = {f"{OVERRIDE}HTTP_API__ACCESS_TOKENS__ADMIN": "newer"}
    found = load(None, {**environ, **newer}).config.http_api
    assert found is not None
    assert found.access_tokens == {"admin": "newer"}


def test_environment_is_the_process_s_own_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument `load` reads the environment of the process at the time of the call."""
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
    """The message begins with the file's name."""
    path = tmp_path / "broken.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{re.escape(f'{path}: {reason}')}$"):
        load(str(path), {})


def test_a_folder_is_an_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r": cannot be read: Is a directory$"):
        load(None, {PATH: str(tmp_path)})


def test_empty_path_variable() -> None:
    """An empty path is an error, and does not select the default file."""
    with pytest.raises(ConfigError) as caught:
        load(None, {PATH: ""})
    assert str(caught.value) == f"the path of the configuration file is empty; is {PATH} set?"


def test_a_path_in_the_place_of_the_text() -> None:
    """The message names the variable for paths."""
    line = f"{TEXT}: should hold a configuration; a path goes into {PATH}"
    assert str(refused("/etc/tracker.toml")) == line


def test_text_that_is_not_toml_is_not_repeated() -> None:
    """The message names the variable and the place. It leaves out the text, because that may hold a
    token."""
    error = refused('[http_api.access_tokens]\nadmin = hunter2"')
    assert str(error) == f"{TEXT}: not valid TOML: Invalid value (at line 2, column 9)"


def test_file_with_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    """A file from a Windows editor loads."""
    path = tmp_path / "tracker.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert load(str(path), {}).config.logging.threshold == "info"

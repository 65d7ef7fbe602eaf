"""Reads the configuration text from a file or the environment, and overrides single keys.

Names and precedence are the reference's. Of the schema it knows only which leaves are text.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli
from attrs import field, frozen

from tracker.config.structure import ConfigError

DEFAULT_PATH = "./tracker.toml"
TEXT_VARIABLE = "TORRUST_TRACKER_CONFIG_TOML"
PATH_VARIABLE = "TORRUST_TRACKER_CONFIG_TOML_PATH"
OVERRIDE_PREFIX = "TORRUST_TRACKER_CONFIG_OVERRIDE_"


@frozen
class Source:
    """TOML text and its source: `name` begins error lines, `notice` is the line for start-up."""

    name: str
    notice: str
    text: str = field(repr=False)  # holds tokens

    def parse(self) -> dict[str, Any]:
        """Returns the TOML document.

        Raises:
            ConfigError: the text is not TOML; the message has the place, but no values.
        """
        try:
            return tomli.loads(self.text)
        except tomli.TOMLDecodeError as error:
            raise ConfigError([f"{self.name}: not valid TOML: {error}"]) from None
        except (ValueError, RecursionError):  # an endless number, or brackets within brackets
            what = "a number has too many digits, or brackets are nested too deeply"
            raise ConfigError([f"{self.name}: not valid TOML: {what}"]) from None


def choose(path: str | None, environ: Mapping[str, str]) -> Source:
    """Returns the first of: `path`, the text variable, the path variable, `./tracker.toml`.

    The text variable counts when it is set at all, even to nothing (contract 4.1).

    Raises:
        ConfigError: the chosen file cannot be read.
    """
    if path is None and TEXT_VARIABLE in environ:
        if environ[TEXT_VARIABLE].strip() and not set("=[#\n") & set(environ[TEXT_VARIABLE]):
            what = f"should hold a configuration; a path goes into {PATH_VARIABLE}"
            raise ConfigError([f"{TEXT_VARIABLE}: {what}"])
        notice = f"Loading configuration from environment variable {TEXT_VARIABLE}"
        return Source(TEXT_VARIABLE, notice, environ[TEXT_VARIABLE])
    return _from_file(path if path is not None else environ.get(PATH_VARIABLE, DEFAULT_PATH))


def _from_file(path: str) -> Source:
    if not path:
        raise ConfigError([f"the path of the configuration file is empty; is {PATH_VARIABLE} set?"])
    if path != path.strip():
        what = "begins or ends with a blank or a line's end: remove it"
        raise ConfigError([f"the path of the configuration file, {path!r}, {what}"])
    try:
        # Some editors begin a UTF-8 file with a byte order mark, which TOML does not allow.
        text = Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        advice = (
            "; `tracker config --default` prints one to begin with" if path == DEFAULT_PATH else ""
        )
        raise ConfigError([f"{path}: cannot be read: {error.strerror}{advice}"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: not valid TOML: it is not UTF-8 text"]) from None
    return Source(path, f"Loading configuration from config file {path}", text)


def override(document: dict[str, Any], environ: Mapping[str, str]) -> list[str]:
    """Sets the keys of variables such as `…_OVERRIDE_CORE__LISTED` in place; returns the
    problems."""
    problems = []
    for variable, keys, raw in _overrides(environ):
        try:
            _put(document, keys, _value(keys, raw))
        except ValueError as error:
            problems.append(f"{variable}: {error}")
    return problems


def _overrides(environ: Mapping[str, str]) -> Iterator[tuple[str, list[str], str]]:
    # Sorted, so that a table comes before its own keys.
    for variable in sorted(environ):
        if variable.startswith(OVERRIDE_PREFIX):
            keys = variable.removeprefix(OVERRIDE_PREFIX).lower().split("__")
            yield variable, keys, environ[variable]


def _put(document: dict[str, Any], keys: list[str], value: object) -> None:
    if not all(keys):
        raise ValueError("names no key: an empty part around a double underscore")
    table = document
    for depth, key in enumerate(keys[:-1], start=1):
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise ValueError(f"{'.'.join(keys[:depth])} is not a table")
    table[keys[-1]] = value


def _value(keys: list[str], raw: str) -> object:
    value = _toml(raw)
    return raw if _is_text(keys) and not isinstance(value, str) else value


def _is_text(keys: list[str]) -> bool:
    # Without this a token of digits would become a number, as it does in the reference.
    return "access_tokens" in keys[:-1] or keys[-1].endswith(("path", "password"))


def _toml(raw: str) -> object:
    """Parses a TOML value (`true`, `5`, `"x"`, `[…]`, `{…}`); returns other text as it is."""
    try:
        parsed = tomli.loads(f"value = {raw}")
    except (ValueError, RecursionError):
        return raw
    # More than one key means line breaks, so the text is no single value.
    return parsed["value"] if len(parsed) == 1 else raw

"""Reads the configuration text from a file or the environment, and overrides single keys.

Names and precedence are the reference's. Of the schema it knows only which leaves are text.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli
from attrs import field, frozen

from tracker.config.structure import ConfigError

MOST_BYTES = 4 << 20
"""Longest configuration file in bytes, because a device in its place may have no end."""
DEFAULT_PATH = "./tracker.toml"
TEXT_VARIABLE = "TORRUST_TRACKER_CONFIG_TOML"
PATH_VARIABLE = "TORRUST_TRACKER_CONFIG_TOML_PATH"
OVERRIDE_PREFIX = "TORRUST_TRACKER_CONFIG_OVERRIDE_"

# The names of the reference's releases before 3.0.0-alpha.12, whose containers set them. Without
# the last one the API would be open to the token that is in everybody's file.
OLD_TEXT_VARIABLE = "TORRUST_TRACKER_CONFIG"
OLD_PATH_VARIABLE = "TORRUST_TRACKER_PATH_CONFIG"
OLD_TOKEN_VARIABLE = "TORRUST_TRACKER_API_ADMIN_TOKEN"  # noqa: S105 -- the name of a variable

_BARE = re.compile(r"(?<=[\[,=])\s*([^\s\"'\[\]{},=][^\"'\[\]{},=]*?)\s*(?=[,\]}])")


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

    A variable's old name counts where the new one is not set. The text variable counts when it is
    set at all, even to nothing (contract 4.1).

    Raises:
        ConfigError: the chosen file cannot be read.
    """
    if path is not None:
        return _from_file(path)
    for name in (TEXT_VARIABLE, OLD_TEXT_VARIABLE):
        if name in environ:
            if environ[name].strip() and not set("=[#\n") & set(environ[name]):
                what = f"should hold a configuration; a path goes into {PATH_VARIABLE}"
                raise ConfigError([f"{name}: {what}"])
            notice = f"Loading configuration from environment variable {name}"
            return Source(name, notice, environ[name])
    old = environ.get(OLD_PATH_VARIABLE, DEFAULT_PATH)
    return _from_file(environ.get(PATH_VARIABLE, old))


def _from_file(path: str) -> Source:
    if not path:
        raise ConfigError([f"the path of the configuration file is empty; is {PATH_VARIABLE} set?"])
    if path != path.strip():
        what = "begins or ends with a blank or a line's end: remove it"
        raise ConfigError([f"the path of the configuration file, {path!r}, {what}"])
    try:
        # Some editors begin a UTF-8 file with a byte order mark, which TOML does not allow.
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode("utf-8-sig")
    except FileNotFoundError as error:
        advice = (
            "; `tracker config --default` prints one to begin with" if path == DEFAULT_PATH else ""
        )
        raise ConfigError([f"{path}: cannot be read: {error.strerror}{advice}"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: not valid TOML: it is not UTF-8 text"]) from None
    if len(data) > MOST_BYTES:
        raise ConfigError([f"{path}: is no configuration: it has more than {MOST_BYTES} bytes"])
    return Source(path, f"Loading configuration from config file {path}", text)


def override(document: dict[str, Any], environ: Mapping[str, str]) -> list[str]:
    """Sets the keys of variables such as `…_OVERRIDE_CORE__LISTED` in place; returns the
    problems."""
    problems = []
    if OLD_TOKEN_VARIABLE in environ and "http_api" in document:  # which it does not turn on
        token = OVERRIDE_PREFIX + "HTTP_API__ACCESS_TOKENS__ADMIN"
        environ = {token: environ[OLD_TOKEN_VARIABLE], **environ}
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
        if isinstance(table, list):
            raise ValueError(
                f"{'.'.join(keys[:depth])} is an array: set it as a whole, "
                'such as [{bind_address = "0.0.0.0:7070"}]'
            )
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
    """Parses a TOML value (`true`, `5`, `"x"`, `[…]`, `{…}`); returns other text as it is.

    Text within brackets needs no quotes, as in the reference: `[10.0.0.0/8]`.
    """
    for text in (raw, _BARE.sub(_quoted, raw) if raw.lstrip()[:1] in ("[", "{") else raw):
        try:
            parsed = tomli.loads(f"value = {text}")
        except (ValueError, RecursionError):
            continue
        # More than one key means line breaks, so the text is no single value.
        return parsed["value"] if len(parsed) == 1 else raw
    return raw


def _quoted(word: re.Match[str]) -> str:
    """Quotes a word of an array or table that is no TOML value."""
    try:
        tomli.loads(f"value = {word[1]}")
    except ValueError:
        return json.dumps(word[1])
    return word[1]

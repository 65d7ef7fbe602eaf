"""Turns a TOML document into a `Config`, or into all of its problems; and a `Config` back for
printing.

cattrs walks the classes, and a reader for each field's type judges the value. Knows the shape of
errors, but not which keys exist, and nothing of files or environment variables.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from types import GenericAlias
from typing import Annotated, Any, Literal, get_args, get_origin

import attrs
from cattrs import BaseValidationError, Converter, transform_error
from cattrs.gen import make_dict_structure_fn

from tracker.config.schema import READERS, Config
from tracker.config.values import (
    Address,
    KeyProblemsError,
    Reader,
    UnixAddress,
    flag,
    kind,
    one_of,
    origin,
)

Hook = Callable[[Any, Any], Any]

# Stands for the document in cattrs' paths. TOML text cannot hold this character.
_ROOT = "\x00"
# Separators, likewise: between the problems of one table's keys, and after each key.
_BETWEEN, _BEHIND_KEY = "\x01", "\x02"
_TABLES_WITH_MANDATORY_KEYS = ("metadata", "logging", "core")


class ConfigError(Exception):
    """The configuration is not valid. The text has one line for each problem.

    `warnings` are the lines that a successful load would have returned, because a misspelt key
    explains why another one is missing.
    """

    def __init__(self, problems: Iterable[str], warnings: Iterable[str] = ()) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        self.warnings = tuple(warnings)
        super().__init__("\n".join(self.problems))


def structure(document: Mapping[str, Any]) -> tuple[Config | None, list[tuple[str, str]]]:
    """Returns the configuration, or None and its problems as (path of the key, reason).

    The reason "" means that a mandatory key is missing.
    """
    # Absent tables become empty ones, so that each missing key is a problem of its own.
    complete = {**{key: {} for key in _TABLES_WITH_MANDATORY_KEYS}, **document}
    try:
        return _converter.structure(complete, Config), []
    except BaseValidationError as error:
        lines = transform_error(error, _ROOT, _reason)
        return None, [problem for line in lines for problem in _located(line)]


def effective(config: Config) -> dict[str, Any]:
    """Returns the configuration as plain data for JSON, with secrets masked as `***`."""
    plain: dict[str, Any] = _converter.unstructure(config)
    if plain["http_api"] is not None:
        tokens = plain["http_api"]["access_tokens"]
        plain["http_api"]["access_tokens"] = dict.fromkeys(tokens, "***")
    for hook in plain["webhooks"]:
        hook["secret"] = "***"  # noqa: S105  # a mask
        hook["url"] = f"{origin(hook['url'])}/***"
    return plain


def _reason(error: BaseException, _: type | None) -> str:
    if isinstance(error, KeyProblemsError):
        return _BETWEEN.join(f"{key}{_BEHIND_KEY}{reason}" for key, reason in error.reasons.items())
    return "" if isinstance(error, KeyError) else str(error)


def _located(line: str) -> Iterator[tuple[str, str]]:
    """Yields path and reason of each problem in a line of cattrs'."""
    reasons, _, path = line.rpartition(f" @ {_ROOT}")
    # cattrs writes a key of a free table as ['label'].
    path = re.sub(r"\[(['\"])(.*)\1\]", r".\2", path.removeprefix("."))
    for reason in reasons.split(_BETWEEN):
        key, between, why = reason.partition(_BEHIND_KEY)
        yield (f"{path}.{key}", why) if between else (path, reason)


def _is_generic(origin: type) -> Callable[[Any], bool]:
    return lambda wanted: getattr(wanted, "__origin__", None) is origin


def _is_value(wanted: Any) -> bool:
    return get_origin(wanted) in (Annotated, Literal)


def _value_hook(wanted: Any) -> Hook:
    parse = _parser(wanted)
    return lambda value, _: parse(value)


def _parser(wanted: Any) -> Callable[[object], Any]:
    if get_origin(wanted) is Literal:
        return one_of(*get_args(wanted))
    mark = get_args(wanted)[1]
    return (mark if isinstance(mark, Reader) else READERS[wanted]).parse


def _table_hook(cls: Any) -> Hook:
    return _only(dict, "a table", make_dict_structure_fn(cls, _converter))


def _free_table_hook(wanted: Any) -> Hook:
    return _only(dict, "a table", _converter.gen_structure_mapping(wanted))


def _array_hook(wanted: Any) -> Hook:
    items = GenericAlias(list, get_args(wanted)[:1])
    inner = _converter.get_structure_hook(items)
    name = "an array of tables, headed by double brackets"
    return _only(list, name, lambda value, _: tuple(inner(value, items)))


def _only(wanted: type, name: str, inner: Hook) -> Hook:
    # Without this check cattrs would index and iterate any value.
    def hook(value: Any, cls: Any) -> Any:
        if not isinstance(value, wanted):
            raise ValueError(f"must be {name}, not {kind(value)}")
        return inner(value, cls)

    return hook


def _new_converter() -> Converter:
    converter = Converter(unstruct_collection_overrides={tuple: list})
    converter.register_structure_hook_factory(attrs.has, _table_hook)
    converter.register_structure_hook_factory(_is_generic(dict), _free_table_hook)
    converter.register_structure_hook_factory(_is_generic(tuple), _array_hook)
    converter.register_structure_hook_factory(_is_value, _value_hook)
    converter.register_structure_hook(bool, lambda value, _: flag(value))
    for printed in (Address, UnixAddress, IPv4Address, IPv6Address):
        converter.register_unstructure_hook(printed, str)
    return converter


_converter = _new_converter()

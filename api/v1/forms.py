"""Reads the JSON body of `POST /api/v1/keys`, and refuses a wrong one in the reference's words.

The reference names the line and column where a member of the wrong type ends. Python's `json` does
not, so the outermost object is walked member by member here. Everything inside is left to `json`.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NoReturn

from attrs import frozen

from api.errors import Refusal, bad_request, debug
from api.params import U64_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

I64_MIN: Final = -(2**63)

_SPACE = re.compile(r"[ \t\n\r]*")
_FIELDS: Final = ("key", "seconds_valid")


@frozen
class AddKeyForm:
    key: str | None  # of any form
    seconds_valid: int | None  # 64 bits unsigned


@frozen
class _Member:
    value: object
    end: int  # index behind the value


def parse(body: bytes) -> AddKeyForm:
    """Reads a body. Raises `Refusal`: 400 if it is no JSON, 422 for JSON of another shape."""
    text = _decode(body)
    document = _loads(text)
    if not isinstance(document, dict):
        raise _wrong_shape("", f"invalid type: {_describe(document)}", "struct AddKeyForm", text, 1)
    members = _required(text)
    return AddKeyForm(_key(text, members["key"]), _seconds(text, members["seconds_valid"]))


def _decode(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise _malformed(
            "invalid unicode code point", error.object[: error.start].decode()
        ) from error


def _loads(text: str) -> object:
    try:
        document: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _malformed(error.msg, text[: error.pos]) from error
    except (RecursionError, ValueError) as error:  # too deep; NaN; too many digits
        raise _malformed("recursion limit exceeded or number out of range", "") from error
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _number(text: str) -> int | float:
    """Reads a number as the reference does: `-0` and integers beyond 64 bits are doubles."""
    number = int(text)
    return number if I64_MIN <= number <= U64_MAX and text != "-0" else _double(text)


def _double(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number


_DECODER = json.JSONDecoder(parse_int=_number, parse_float=_double, parse_constant=_no_constant)


def _required(text: str) -> dict[str, _Member]:
    members: dict[str, _Member] = {}
    for name, member in _members(text):
        if name in _FIELDS and name in members:
            raise _mismatch(f"duplicate field `{name}`", text, member.end)
        members[name] = member
    for name in _FIELDS:
        if name not in members:
            raise _mismatch(f"missing field `{name}`", text, len(text.rstrip()))
    return members


def _members(text: str) -> Iterator[tuple[str, _Member]]:
    """Yields the members of `text`, which has to be a valid JSON object."""
    index = _skip(text, text.index("{") + 1)
    while text[index] != "}":
        name, index = _DECODER.raw_decode(text, _skip(text, index))
        value, index = _DECODER.raw_decode(text, _skip(text, _skip(text, index) + 1))
        yield name, _Member(value, index)
        index = _skip(text, index)
        index += text[index] == ","


def _skip(text: str, index: int) -> int:
    match = _SPACE.match(text, index)
    return match.end() if match else index


def _key(text: str, member: _Member) -> str | None:
    value = member.value
    if value is None or isinstance(value, str):
        return value
    problem = f"invalid type: {_describe(value)}"
    raise _wrong_shape("key: ", problem, "a string", text, member.end)


def _seconds(text: str, member: _Member) -> int | None:
    value = member.value
    if value is None:
        return None
    integer = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, int) and integer and value >= 0:
        return value
    problem = f"invalid {'value' if integer else 'type'}: {_describe(value)}"
    raise _wrong_shape("seconds_valid: ", problem, "u64", text, member.end)


def _describe(value: object) -> str:
    """Describes a JSON value in the words of the reference's parser."""
    match value:
        case None:
            return "null"
        case bool():
            return f"boolean `{str(value).lower()}`"
        case int():
            return f"integer `{value}`"
        case float():
            return f"floating point `{_decimal(value)}`"
        case str():
            return f'string "{debug(value)}"'
        case list():
            return "sequence"
        case _:
            return "map"


def _decimal(number: float) -> str:
    """Prints all digits, without an exponent, and always a fraction."""
    text = f"{Decimal(repr(number)):f}"
    return text if "." in text else f"{text}.0"


def _wrong_shape(path: str, problem: str, expected: str, text: str, end: int) -> Refusal:
    return _mismatch(f"{path}{problem}, expected {expected}", text, end)


def _mismatch(problem: str, text: str, end: int) -> Refusal:
    where = _position(text[:end])
    return Refusal(
        422, f"Failed to deserialize the JSON body into the target type: {problem} at {where}"
    )


def _malformed(problem: str, before: str) -> Refusal:
    where = _position(before)
    return bad_request(f"Failed to parse the request body as JSON: {problem} at {where}")


def _position(before: str) -> str:
    """Counts lines from one. A column is the number of bytes since the line began."""
    line = before.rpartition("\n")[2]
    return f"line {before.count(chr(10)) + 1} column {len(line.encode())}"

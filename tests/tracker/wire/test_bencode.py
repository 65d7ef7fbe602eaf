"""Bencoding: each value has one encoding, and nothing else decodes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.wire.bencode import MAX_DEPTH, BencodeError, Decoded, decode, encode

VALUES = st.recursive(
    st.integers() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.binary(), inner),
    max_leaves=20,
)

SAMPLES: list[tuple[Decoded, bytes]] = [
    (0, b"i0e"),
    (-42, b"i-42e"),
    (b"", b"0:"),
    (b"spam", b"4:spam"),
    ([], b"le"),
    ([b"a", [1]], b"l1:ali1eee"),
    ({}, b"de"),
    ({b"b": 1, b"a": {b"": b""}}, b"d1:ad0:0:e1:bi1ee"),
]


@pytest.mark.parametrize(("value", "encoded"), SAMPLES)
def test_samples(value: Decoded, encoded: bytes) -> None:
    """Each value has its encoding, both ways."""
    assert encode(value) == encoded
    assert decode(encoded) == value


def test_text_and_tuples() -> None:
    """Text becomes UTF-8, keys included, and is sorted by its bytes."""
    assert encode({"µ": ("é",), "z": "a"}) == b"d1:z1:a2:\xc2\xb5l2:\xc3\xa9ee"


@pytest.mark.parametrize("value", [True, 1.5, None, [None]])
def test_unencodable(value: object) -> None:
    """Types that the format lacks are refused, booleans too."""
    with pytest.raises(TypeError):
        encode(value)  # type: ignore[arg-type]  # the wrong type is the test


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"i",
        b"ie",
        b"i-e",
        b"i-0e",
        b"i01e",
        b"i+1e",
        b"i 1e",
        b"i1_0e",
        b"i1",
        b"i" + b"9" * 5000 + b"e",
        b"4",
        b"4:",
        b"4:spa",
        b"04:spam",
        b"-1:a",
        b"99999999999999999999:a",
        b"l",
        b"li1e",
        b"d",
        b"d1:a",
        b"d1:ae",
        b"di1ei1ee",
        b"d1:bi1e1:ai1ee",
        b"d1:ai1e1:ai1ee",
        b"i1ei1e",
        b"e",
        b"l" * 100_000,
        b"l" * (MAX_DEPTH + 1) + b"e" * (MAX_DEPTH + 1),
    ],
)
def test_malformed(data: bytes) -> None:
    """Bytes that are not the one encoding of a value are refused."""
    with pytest.raises(BencodeError):
        decode(data)


def test_deepest() -> None:
    """The greatest depth allowed still decodes."""
    data = b"l" * MAX_DEPTH + b"e" * MAX_DEPTH
    assert encode(decode(data)) == data


@given(VALUES)
def test_round_trip(value: Decoded) -> None:
    """Every value survives encoding and decoding."""
    assert decode(encode(value)) == value


@given(st.binary() | st.text("ilde0123456789:-a").map(str.encode))
def test_any_bytes(data: bytes) -> None:
    """Decoding raises its own error or returns what encodes to the same bytes."""
    with contextlib.suppress(BencodeError):
        assert encode(decode(data)) == data

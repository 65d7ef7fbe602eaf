"""BEP 41: the path and query that a client sends along behind a UDP announce, option by option."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import steady
from tracker.wire.udp import url_data

END, NOTHING, URL = b"\x00", b"\x01", b"\x02"


def option(kind: int, data: bytes) -> bytes:
    return bytes([kind, len(data)]) + data


LONG = b"/announce/" + b"k" * 240
OPTIONS: dict[str, tuple[bytes, bytes]] = {
    "no options": (b"", b""),
    "only the end": (END, b""),
    "only no-ops": (NOTHING * 5, b""),
    "one": (option(2, b"/announce/key"), b"/announce/key"),
    "one and the end": (option(2, b"/key") + END, b"/key"),
    "no-ops around it": (NOTHING + option(2, b"/key") + NOTHING * 3 + END, b"/key"),
    "nothing counts after the end": (END + option(2, b"/key"), b""),
    "no second one after the end": (option(2, b"/a") + END + option(2, b"/b"), b"/a"),
    "repeated: joined": (option(2, b"/announce") + option(2, b"/key"), b"/announce/key"),
    "joined over no-ops": (option(2, b"/a") + NOTHING + option(2, b"b"), b"/ab"),
    "longer than one option": (option(2, LONG) + option(2, LONG), LONG * 2),
    "as long as an option gets": (option(2, b"x" * 255), b"x" * 255),
    "empty": (option(2, b""), b""),
    "empty between": (option(2, b"/a") + option(2, b"") + option(2, b"b"), b"/ab"),
    "unknown before: skipped": (option(3, b"what") + option(2, b"/key"), b"/key"),
    "unknown between: skipped": (option(2, b"/a") + option(255, b"\x02\x01x") + option(2, b"b"), b"/ab"),
    "unknown and empty": (option(9, b"") + option(2, b"/key"), b"/key"),
    "zeros inside are data": (option(2, b"/a\x00b\x01"), b"/a\x00b\x01"),
    "no length": (URL, b""),
    "cut short": (URL + b"\x05/key", b""),
    "cut short after a whole one": (option(2, b"/a") + URL + b"\x03/b", b"/a"),
    "an unknown one cut short": (option(2, b"/a") + b"\x07\xff/b", b"/a"),
    "an unknown one without length": (option(2, b"/a") + b"\x07", b"/a"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "found"), OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("before", [b"", b"\x02\x04/abc" * 3], ids=["at 0", "further on"])
@pytest.mark.parametrize("after", [b"", b"\x02\x04/xyz/xyz"], ids=["to the end", "and more behind"])
def test_options(data: bytes, found: bytes, before: bytes, after: bytes) -> None:
    """Only what lies between start and end is read, whatever the buffer holds around it."""
    start = len(before)
    assert url_data(before + data + after, start, start + len(data)) == found
    assert url_data(bytearray(before + data + after), start, start + len(data)) == found


pieces = st.lists(
    st.one_of(
        st.just(NOTHING),
        st.tuples(st.integers(2, 255), st.binary(max_size=255)).map(lambda one: option(*one)),
    ),
    max_size=8,
)


@settings(steady)
@given(parts=pieces, tail=st.one_of(st.just(b""), st.binary(max_size=300).map(lambda b: END + b)))
def test_well_formed(parts: list[bytes], tail: bytes) -> None:
    """Complete options of type 2 are joined."""
    data = b"".join(parts) + tail
    assert url_data(data, 0, len(data)) == b"".join(p[2:] for p in parts if p[:1] == URL)


@settings(steady)
@given(data=st.binary(max_size=400), start=st.integers(0, 400))
def test_any_bytes(data: bytes, start: int) -> None:
    """No bytes make it fail, or give more than there is."""
    assert len(url_data(data, start, len(data))) <= len(data)

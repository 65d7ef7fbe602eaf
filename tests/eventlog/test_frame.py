"""Frames as bytes: all fields come back, and no damaged byte goes unnoticed."""

from __future__ import annotations

from struct import pack
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.frame import (
    ALIGN,
    HEADER_SIZE,
    LAST_SEQ,
    LAST_TIME_US,
    LEAST_LEAD,
    MAX_RECORDS,
    MAX_SECTION,
    NOT_ENCRYPTED,
    FrameError,
    build_header,
    chain_of,
    crc_start_of,
    padding,
    parse_header,
    split_payload,
)
from tests.support import steady

SIGNED = {"previous": bytes(range(16)), "seed": b"s" * 16, "sign": lambda *_: b"t" * 16}
u8, u16, u32, u64 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32, 64))


@steady
@given(
    kind=u8, schema=u8, count=st.integers(0, MAX_RECORDS), plain=st.binary(max_size=200), protected=st.binary(max_size=200),
    epoch=u32, base_seq=st.integers(0, 2**48), durable_seq=st.integers(0, LAST_SEQ), time_us=st.integers(0, LAST_TIME_US), boottime_ns=u64,
    previous=st.binary(min_size=16, max_size=16), key_epoch=u32, lead=st.integers(LEAST_LEAD, 2**32 + LEAST_LEAD - 1),
)  # fmt: skip
def test_round_trip(
    kind: int, schema: int, count: int, plain: bytes, protected: bytes, epoch: int, base_seq: int,
    durable_seq: int, time_us: int, boottime_ns: int, previous: bytes, key_epoch: int, lead: int,
) -> None:  # fmt: skip
    """Every field and both sections are read as they were written."""
    packed, tag = build_header(
        kind, schema, count, plain, protected, epoch=epoch, base_seq=base_seq,
        durable_seq=durable_seq, time_us=time_us, boottime_ns=boottime_ns, previous=previous,
        seed=b"0123456789abcdef", sign=lambda *parts: parts[0][-16:], key_epoch=key_epoch,
        lead_us=lead * 1_000_000,
    )  # fmt: skip
    header = parse_header(packed)
    assert len(packed) == HEADER_SIZE
    assert header[:4] == (2, kind, schema, 0)
    assert header[4:7] == (count, len(plain), len(protected))
    assert header[7:13] == (epoch, base_seq, durable_seq, time_us, boottime_ns, key_epoch)
    assert (header.seed, header.previous) == (b"0123456789abcdef", previous)
    assert header.lead_us == lead * 1_000_000
    assert header.date_us == max(1, time_us - lead * 1_000_000)
    assert header.chain == tag == packed[92:108]
    assert header.next_seq == base_seq + count
    size = len(plain) + len(protected)
    assert header.payload_size % ALIGN == 0
    assert 0 <= header.payload_size - size < ALIGN
    frame = split_payload(header, plain + protected + bytes(padding(size)))
    assert (bytes(frame.plain), bytes(frame.protected)) == (plain, protected)


def sample() -> tuple[bytes, bytes]:
    plain, protected = b"plain part", b"sealed"
    packed, _ = build_header(
        1, 2, 3, plain, protected, epoch=4, base_seq=5, durable_seq=5, time_us=6, boottime_ns=7,
        **SIGNED,
    )  # fmt: skip
    return packed, plain + protected


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_in_the_header_shows(bit: int) -> None:
    """Each single bit of the header is covered by its checksum."""
    packed, _ = sample()
    for at in range(HEADER_SIZE):
        damaged = bytearray(packed)
        damaged[at] ^= 1 << bit
        with pytest.raises(FrameError):
            parse_header(bytes(damaged))


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_in_the_payload_shows(bit: int) -> None:
    """Each single bit of both sections is covered by the checksum in the header."""
    packed, payload = sample()
    header = parse_header(packed)
    for at in range(len(payload)):
        damaged = bytearray(payload)
        damaged[at] ^= 1 << bit
        with pytest.raises(FrameError, match="checksum"):
            split_payload(header, bytes(damaged))


DAMAGE = {
    "nothing": (b"", "incomplete frame header"),
    "one byte short": (sample()[0][:-1], "incomplete frame header"),
    "zeros": (bytes(HEADER_SIZE), "no frame begins here"),
    "another magic": (b"EVF0" + sample()[0][4:], "no frame begins here"),
    "another checksum": (sample()[0][:-4] + bytes(4), "checksum does not match"),
    "an endless section": (
        build_header(
            1, 1, 1, bytes(MAX_SECTION + 1), b"", epoch=1, base_seq=0, durable_seq=0, time_us=0,
            boottime_ns=0, **SIGNED,
        )[0],
        "longer than any frame",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(name: str) -> None:
    """The error says what is wrong with a header."""
    data, message = DAMAGE[name]
    with pytest.raises(FrameError, match=message):
        parse_header(data)


def test_a_short_payload_is_incomplete() -> None:
    """A frame without its padding is not whole, because the next write would begin unaligned."""
    packed, payload = sample()
    padded = payload + bytes(padding(len(payload)))
    longer = build_header(
        1, 1, 1, b"x", b"", epoch=1, base_seq=0, durable_seq=0, time_us=0, boottime_ns=0, **SIGNED
    )[0]
    split_payload(parse_header(packed), padded)
    with pytest.raises(FrameError, match="incomplete frame"):
        split_payload(parse_header(packed), padded[:-1])
    with pytest.raises(FrameError, match="incomplete frame"):
        split_payload(parse_header(longer), b"x" + bytes(14))


def test_a_frame_of_format_1() -> None:
    """Frames of the format before are read for ever; their checksums chain them."""
    fields = (b"EVF1", 1, 2, 1, 3, 4, 5, 6, 7, 6, 8, 9, 0, 0xAABBCCDD, 10, 0)
    body = pack("<4sBBHIIIIQQQQIIIQ", *fields)
    crc = crc32(body, crc_start_of(bytes(16)))
    header = parse_header(body + crc.to_bytes(4, "little"), crc_start_of(bytes(16)))
    assert header[:12] == (1, 1, 2, 1, 3, 4, 5, 6, 7, 6, 8, 9)
    assert header[12:15] == (NOT_ENCRYPTED, 10, 0)
    assert (header.previous, header.chain) == (chain_of(0xAABBCCDD), chain_of(crc))
    assert (header.size, header.seed, header.encrypted) == (80, b"", False)

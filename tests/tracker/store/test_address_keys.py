"""The daily keys: made when needed, checked, and gone when destroyed."""

from __future__ import annotations

import hmac
import os
import stat
from itertools import product
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from eventlog import FrameId
from tests.support import START_US
from tracker.domain.events import DAY_US
from tracker.domain.events.announce import V4_MAPPED
from tracker.store.address_keys import Keyring, day_name, day_of, parse_day
from tracker.store.server_secret import SecretError

if TYPE_CHECKING:
    from pathlib import Path

FRAME_ID = FrameId(b"log id, 16 bytes", 3, 1000, 77, b"0123456789abcdef")
TODAY = day_of(START_US)
TEXT = b"where a peer is, " * 5


def test_an_encrypted_section_can_be_decrypted(tmp_path: Path) -> None:
    """Another keyring over the folder decrypts a section, which keeps its length."""
    encrypted = Keyring(tmp_path).encrypt(FRAME_ID, START_US, TEXT)
    assert encrypted.key_epoch == TODAY
    assert len(encrypted.data) == len(TEXT)
    assert Keyring(tmp_path).decrypt(FRAME_ID, *encrypted) == TEXT
    (path,) = (tmp_path / "privacy").iterdir()
    assert path.name == f"{day_name(TODAY)}.key" == "2027-01-15.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_page_describes_the_encryption(tmp_path: Path) -> None:
    """The recipe of docs/log-format.md, followed with a block cipher, gives the same bytes."""
    (tmp_path / "privacy").mkdir()
    (tmp_path / "privacy" / "2027-01-15.key").write_bytes(bytes(range(32)))
    encrypted = Keyring(tmp_path).encrypt(FRAME_ID, START_US, TEXT)
    place = b"log id, 16 bytes" + bytes([3, 0, 0, 0]) + (1000).to_bytes(8, "little")
    message = b"swarmlog frame" + place + (77).to_bytes(8, "little") + b"0123456789abcdef"
    derived = hmac.digest(bytes(range(32)), message, "sha512")
    counter = int.from_bytes(derived[16:32], "big")
    block = Cipher(AES(derived[:16]), ECB()).encryptor()  # noqa: S305  # what counter mode is made of
    stream = b"".join(
        block.update(((counter + number) % 2**128).to_bytes(16, "big")) for number in range(6)
    )
    assert encrypted.data == bytes(a ^ b for a, b in zip(TEXT, stream, strict=False))
    assert encrypted.check == int.from_bytes(derived[32:40], "little")


def test_equal_pseudonyms_are_of_one_address_and_day(tmp_path: Path) -> None:
    """Whichever form the address has. Without the day's key there is none, and none is made."""
    keyring, days = Keyring(tmp_path), (TODAY, TODAY + 1)
    for day in days:
        keyring.prepare(day)
    addresses = [bytes([127, 0, 0, last]) for last in (1, 2)]
    addresses += [bytes([32, 1, *bytes(13), last]) for last in (1, 2)]
    named = {each: keyring.pseudonym(*each) for each in product(days, addresses)}
    assert len(set(named.values())) == len(named)
    assert named == {each: Keyring(tmp_path).pseudonym(*each) for each in named}
    for day, address in product(days, addresses[:2]):
        assert keyring.pseudonym(day, V4_MAPPED + address) == named[day, address]
    keyring.destroy(TODAY)
    assert keyring.pseudonym(TODAY, addresses[0]) is None
    assert keyring.days() == [TODAY + 1]


def test_no_two_places_share_a_key_stream(tmp_path: Path) -> None:
    """Sections at different places are encrypted with different key streams."""
    keyring = Keyring(tmp_path)
    varied = product(
        (b"log id, 16 bytes", b"another, 16 byte"), (3, 4), (1000, 1001), (77, 78), (b"", b"seed")
    )
    streams = [keyring.encrypt(FrameId(*each), START_US, bytes(64)).data for each in varied]
    assert len(set(streams)) == 32
    assert len({stream[:16] for stream in streams}) == 32


def test_days_have_keys_of_their_own(tmp_path: Path) -> None:
    """Each day has its own key, to the last microsecond. The keys are listed in order."""
    keyring = Keyring(tmp_path)
    start = TODAY * DAY_US
    epochs = [
        keyring.encrypt(FRAME_ID, start + us, TEXT).key_epoch for us in (-1, 0, DAY_US - 1, DAY_US)
    ]
    assert epochs == [TODAY - 1, TODAY, TODAY, TODAY + 1]
    assert keyring.days() == [TODAY - 1, TODAY, TODAY + 1]
    keys = [path.read_bytes() for path in (tmp_path / "privacy").iterdir()]
    assert len(set(keys)) == 3


@pytest.mark.parametrize("cached", [True, False])
def test_a_destroyed_key_opens_nothing(tmp_path: Path, cached: bool) -> None:
    """Neither the keyring that had it in memory nor a new one decrypts with a destroyed key. A
    second destruction does nothing.
    """
    keyring = Keyring(tmp_path)
    encrypted = keyring.encrypt(FRAME_ID, START_US, TEXT)
    keyring = keyring if cached else Keyring(tmp_path)
    keyring.destroy(TODAY)
    keyring.destroy(TODAY)
    assert keyring.decrypt(FRAME_ID, *encrypted) is None
    assert list((tmp_path / "privacy").iterdir()) == []


def test_a_key_destroyed_by_another_process_is_forgotten(tmp_path: Path) -> None:
    """A long-running process forgets the key of a day that another process shredded, and keeps the
    other keys.
    """
    keyring = Keyring(tmp_path)
    encrypted = [keyring.encrypt(FRAME_ID, START_US + us, TEXT) for us in (0, DAY_US)]
    Keyring(tmp_path).destroy(TODAY)
    keyring.forget()
    assert keyring.decrypt(FRAME_ID, *encrypted[0]) is None
    assert keyring.decrypt(FRAME_ID, *encrypted[1]) == TEXT


def test_another_key_of_the_day_opens_nothing(tmp_path: Path) -> None:
    """A new key for a day decrypts nothing that the lost key encrypted."""
    encrypted = Keyring(tmp_path / "one").encrypt(FRAME_ID, START_US, TEXT)
    other = Keyring(tmp_path / "two")
    other.prepare(TODAY)
    assert other.decrypt(FRAME_ID, *encrypted) is None


def test_a_key_is_overwritten_before_it_goes(tmp_path: Path) -> None:
    """A process that holds the file of a destroyed key open reads other bytes."""
    keyring = Keyring(tmp_path)
    key = keyring.prepare(TODAY)
    with (tmp_path / "privacy" / "2027-01-15.key").open("rb") as held:
        keyring.destroy(TODAY)
        assert len(overwritten := held.read()) == 32
    assert overwritten != key


def test_a_reader_without_rights_or_keys(tmp_path: Path) -> None:
    """Without the folder, or with a damaged key, nothing is decrypted, which is no error.
    Encryption with a damaged key fails.
    """
    encrypted = Keyring(tmp_path / "one").encrypt(FRAME_ID, START_US, TEXT)
    assert Keyring(tmp_path / "none").decrypt(FRAME_ID, *encrypted) is None
    assert Keyring(tmp_path / "none").days() == []
    assert not (tmp_path / "none").exists()
    path = tmp_path / "one" / "privacy" / "2027-01-15.key"
    path.write_bytes(b"short")
    damaged = Keyring(tmp_path / "one")
    assert damaged.decrypt(FRAME_ID, *encrypted) is None
    with pytest.raises(SecretError, match=r"2027-01-15\.key should hold 32 bytes, it holds 5"):
        damaged.encrypt(FRAME_ID, START_US, TEXT)
    assert path.read_bytes() == b"short"


def test_an_interrupted_making_leaves_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key is in the folder whole or not at all, and encrypts nothing before it is durable."""
    keyring = Keyring(tmp_path)

    def broken(_descriptor: int) -> None:
        raise OSError("no power")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", broken)
        with pytest.raises(OSError, match="no power"):
            keyring.encrypt(FRAME_ID, START_US, TEXT)
    assert keyring.days() == []
    assert keyring.decrypt(FRAME_ID, *keyring.encrypt(FRAME_ID, START_US, TEXT)) == TEXT


@pytest.mark.parametrize("text", ["2027-01-15", "1970-01-02", "2000-02-29"])
def test_days_are_dates(text: str) -> None:
    """A day becomes a date and back."""
    assert day_name(parse_day(text)) == text


@pytest.mark.parametrize("text", ["", "today", "2027-1-1x", "2027-02-30", "20270115"])
def test_malformed_dates(text: str) -> None:
    """A malformed date is refused."""
    with pytest.raises(ValueError, match=r"."):
        parse_day(text)


def test_a_file_that_is_named_like_a_key(tmp_path: Path) -> None:
    """A file with the name of an impossible date is no key and disturbs none."""
    keyring = Keyring(tmp_path)
    keyring.prepare(TODAY)
    for name in ("2027-02-30.key", "0000-01-01.key", "٢٠٢٧-01-01.key"):
        (tmp_path / "privacy" / name).touch()
    assert keyring.days() == [TODAY]

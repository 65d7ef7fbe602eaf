"""The server's secret and the secrets derived from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tracker.store import server_secret

if TYPE_CHECKING:
    from pathlib import Path


def test_made_once_and_kept(tmp_path: Path) -> None:
    """The first use makes it, readable by the owner only; later ones find it."""
    folder = tmp_path / "deep" / "secrets"
    secret = server_secret.load_or_create(folder)
    assert len(secret) == 32
    assert server_secret.load_or_create(folder) == secret
    assert (folder / "server.key").read_bytes() == secret
    assert (folder / "server.key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o077 == 0


def test_no_two_alike(tmp_path: Path) -> None:
    """Each folder gets a secret of its own."""
    assert server_secret.load_or_create(tmp_path / "a") != server_secret.load_or_create(
        tmp_path / "b"
    )


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_damaged_secret_is_not_replaced(tmp_path: Path, size: int) -> None:
    """A secret of another length is reported and kept, because ids and keys depend on it."""
    path = tmp_path / "server.key"
    path.write_bytes(bytes(size))
    with pytest.raises(server_secret.SecretError, match=f"32 bytes, it holds {size}"):
        server_secret.load_or_create(tmp_path)
    assert path.stat().st_size == size


def test_derived_secrets() -> None:
    """A derived secret has 32 bytes and depends on the purpose and the server secret."""
    one = server_secret.derive(b"s" * 32, "connection ids")
    assert len(one) == 32
    assert one == server_secret.derive(b"s" * 32, "connection ids")
    assert (
        len(
            {
                one,
                server_secret.derive(b"s" * 32, "x"),
                server_secret.derive(b"t" * 32, "connection ids"),
            }
        )
        == 3
    )


def test_tracker_keys() -> None:
    """A tracker key has 32 letters and digits, and the same request derives it again."""
    keys = [server_secret.tracker_key(b"s" * 32, f"{number} request") for number in range(300)]
    assert len(set(keys)) == 300
    assert all(len(key) == 32 and key.isascii() and key.isalnum() for key in keys)
    assert len(set("".join(keys))) == 62
    assert keys[7] == server_secret.tracker_key(b"s" * 32, "7 request")
    assert keys[7] != server_secret.tracker_key(b"t" * 32, "7 request")


def test_hashes_of_keys() -> None:
    """The hash of a key is its SHA-256."""
    assert server_secret.key_hash("abc").hex().startswith("ba7816bf8f01cfea414140de5dae2223")

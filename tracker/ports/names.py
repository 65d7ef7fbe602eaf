"""Puts names beside numbers in JSON values: the owner of an account, and what the site calls a
torrent.
"""

from __future__ import annotations

from typing import Any, Protocol


class Names(Protocol):
    """What a read model knows of names; None = nothing."""

    def owner(self, account: int) -> str | None: ...

    def account_of_key(self, key_ref: int) -> int | None: ...

    def label(self, info_hash: bytes) -> str | None: ...


def named(value: Any, names: Names) -> Any:
    """Returns JSON values with `owner` beside each `account`, `label` beside each `info_hash`, and
    both `account` and `owner` beside a `key_ref` alone.

    Members that are there already stay as they are.
    """
    if isinstance(value, list):
        return [named(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for name, each in value.items():
        found[name] = named(each, names) if isinstance(each, dict | list) else each
        if name == "account" and "owner" not in value:
            found["owner"] = names.owner(each) if isinstance(each, int) else None
        elif name == "info_hash" and "label" not in value:
            found["label"] = names.label(bytes.fromhex(each)) if isinstance(each, str) else None
        elif name == "key_ref" and "account" not in value and isinstance(each, int):
            account = names.account_of_key(each)
            found["account"], found["owner"] = account, names.owner(account) if account else None
    return found

"""Checks that a command names an account that exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker import ports

if TYPE_CHECKING:
    from tracker.domain.access import Access


def check_account(access: Access, account: int) -> None:
    """Raises `UnknownAccountError` unless the account exists and is not merged into another one."""
    if access.has_account(account):
        return
    merge = access.merged.get(account)
    if merge is not None:
        raise ports.UnknownAccountError(
            f"account {account} was merged into account {merge.into} by event {merge.seq}: name "
            "that one"
        )
    raise ports.UnknownAccountError(f"there is no account {account}")

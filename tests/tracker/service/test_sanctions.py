"""Commands about sanctions: what they append, and what they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from tests.support import SECOND, Rig, hash_of
from tracker import ports
from tracker.service.commands import ServiceCommands
from tracker.service.read_model import LiveReads

if TYPE_CHECKING:
    from collections.abc import Callable

BY = ports.Actor("ops", "192.0.2.1", "r-1", "as told")
HASH = hash_of(1)


def begun() -> tuple[Rig, ServiceCommands]:
    rig = Rig.with_settings(private=True)
    for number, owner in enumerate(("anna", "anna", "bert")):
        rig.issue(number, owner)
    return rig, ServiceCommands(rig.service, rig.log, b"s" * 32)


async def test_what_stands_is_listed_with_author_and_reason() -> None:
    """The newest sanction of its kind counts, until it is lifted."""
    rig, commands = begun()
    now = rig.service.date_us()
    await commands.impose("hidden", 1, None, BY)
    later = evolve(BY, token="mod", reason="again")  # a label
    seq = await commands.impose("hidden", 1, now + SECOND, later)
    await commands.impose("leech_off", 3, None, BY)
    model = LiveReads(rig.service).now()
    hidden = ports.Sanction(seq, now, now + SECOND, "mod", "again", False)
    off = ports.Sanction(seq + 1, now, None, "ops", "as told", False)
    assert list(model.sanctions(0)) == [
        ports.SanctionedAccount(1, "anna", None, hidden),
        ports.SanctionedAccount(3, "bert", off, None),
    ]
    assert [one.account for one in model.sanctions(1)] == [3]
    await commands.lift("hidden", 1, BY)
    assert [one.account for one in model.sanctions(0)] == [3]


async def test_torrents_and_networks() -> None:
    """An address is a network of one."""
    rig, commands = begun()
    now = rig.service.date_us()
    assert await commands.blacklist(HASH, True, BY) == 4
    assert await commands.block("2001:DB8:0::/48", now + SECOND, True, BY) == 5
    assert await commands.block("198.51.100.7", None, False, BY) == 6
    model = LiveReads(rig.service).now()
    row = ports.Sanction(4, now, None, "ops", "as told", True)
    assert list(model.blacklist(b"")) == [ports.Blacklisted(HASH, row)]
    assert (model.blacklisted(HASH), model.blacklisted(hash_of(2))) == (
        ports.Blacklisted(HASH, row),
        None,
    )
    assert list(model.blacklist(HASH)) == []
    assert list(model.blocks("")) == [
        ports.Block("198.51.100.7/32", evolve(row, seq=6, public=False)),
        ports.Block("2001:db8::/48", evolve(row, seq=5, until_us=now + SECOND)),
    ]
    await commands.unblacklist(HASH, BY)
    await commands.unblock("198.51.100.7/32", BY)
    assert not list(model.blacklist(b""))
    assert [one.network for one in model.blocks("")] == ["2001:db8::/48"]


REFUSED: dict[str, tuple[Callable[[ServiceCommands], Any], type[Exception], str]] = {
    "no reason": (lambda to: to.impose("hidden", 1, None, evolve(BY, reason="")),
                  ports.InvalidSanctionError, "this needs a reason"),
    "a torrent without a reason": (lambda to: to.blacklist(HASH, False, evolve(BY, reason="")),
                                   ports.InvalidSanctionError, "this needs a reason"),
    "no account": (lambda to: to.impose("hidden", 2, None, BY), ports.UnknownAccountError, "there is no account 2"),
    "an end in the past": (lambda to: to.impose("hidden", 1, 1, BY),
                           ports.InvalidSanctionError, "it would end in the past, or after the year 9999"),
    "not hidden": (lambda to: to.lift("hidden", 1, BY),
                   ports.UnknownSanctionError, "hidden is not in force there"),
    "not blacklisted": (lambda to: to.unblacklist(HASH, BY),
                        ports.UnknownSanctionError, "that torrent is not on the blacklist"),
    "not blocked": (lambda to: to.unblock("10.0.0.0/8", BY),
                    ports.UnknownSanctionError, "10.0.0.0/8 is not blocked"),
    "bits behind the prefix": (lambda to: to.block("10.0.0.1/8", None, False, BY),
                               ports.InvalidSanctionError,
                               "expected a network such as 198.51.100.0/24: 10.0.0.1/8 has host bits set"),
    "mapped": (lambda to: to.block("::ffff:10.0.0.1", None, False, BY),
               ports.InvalidSanctionError, "name the IPv4 network itself, without ::ffff:"),
    "everybody": (lambda to: to.block("0.0.0.0/0", None, False, BY),
                  ports.InvalidSanctionError, "0.0.0.0/0 is larger than /8, the largest network that can be blocked"),
    "no client": (lambda to: to.rule_client(ports.ClientRuleTerms(""), BY),
                  ports.InvalidSanctionError, "client: expected the beginning of its peer ids, 1 to 8 characters"),
    "one version": (lambda to: to.rule_client(ports.ClientRuleTerms("-qB", "4500"), BY), ports.InvalidSanctionError,
                    "first, last: expected two versions of the same length, as in a peer id (4500 and 4599 of -qB4500-), the lower one first"),
    "no rule": (lambda to: to.end_client_rule(7, BY), ports.UnknownSanctionError, "there is no rule 7 about a client"),
    "no owner": (lambda to: to.revoke_owner("carl", BY),
                 ports.UnknownAccountError, "no account has the owner carl"),
}  # fmt: skip


@pytest.mark.parametrize(("ask", "error", "text"), REFUSED.values(), ids=REFUSED)
async def test_refused(
    ask: Callable[[ServiceCommands], Any], error: type[Exception], text: str
) -> None:
    """A refused command appends nothing."""
    rig, commands = begun()
    before = rig.state.seq
    with pytest.raises(error) as caught:
        await ask(commands)
    assert str(caught.value) == text
    assert rig.state.seq == before


async def test_all_keys_of_an_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """One event revokes them, above a bound several; a repetition finds none and appends none."""
    rig, commands = begun()
    assert await commands.revoke_owner("anna", BY) == 2
    assert rig.types()[-1] == "owner_keys_revoked"
    before = rig.state.seq
    assert await commands.revoke_owner("anna", BY) == 0
    assert rig.state.seq == before
    monkeypatch.setattr("tracker.service.commands.keys._KEYS_AT_ONCE", 2)
    for number in range(3, 8):
        rig.issue(number, "anna")
    assert await commands.revoke_owner("anna", BY) == 5
    assert [each["key_refs"] for each in rig.events()[-3:]] == [[4, 5], [6, 7], [8]]

"""Credit by command: factors, corrections, refusals, and repeated requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve, frozen

from tests.support import SECOND, START_US, Announce, Rig, endpoint4, hash_of, replayed
from tracker import ports
from tracker.domain.accounts import MOST
from tracker.service.commands import ServiceCommands
from tracker.service.commands.crediting import END_US, MOST_PER_SCOPE
from tracker.service.read_model import LiveReads

if TYPE_CHECKING:
    from tests.support import MemoryLog

HASH = hash_of(1)
BY = ports.Actor(token="ops", address="192.0.2.1", request_id="r-1", reason="because")
FREE = ports.FactorTerms(info_hash=HASH, download_percent=0, label="freeleech")


@frozen
class Site:
    """A private tracker with one member of account 1, and its commands."""

    rig: Rig
    commands: ServiceCommands

    @property
    def read(self) -> ports.ReadModel:
        return LiveReads(self.rig.service).now()

    def announce(self, moved: int) -> None:
        key = b"key%029d" % 1
        self.rig.announce(Announce(HASH, endpoint4(1), uploaded=moved, downloaded=moved, key=key))

    def appended(self) -> list[dict[str, Any]]:
        """Returns the credit events without their common members."""
        told = [one for one in self.rig.events() if one["type"].startswith("credit")]
        return [{name: one[name] for name in one if name not in ("seq", "time")} for one in told]


class Log:
    """A log in memory for the commands."""

    def __init__(self, log: MemoryLog) -> None:
        self.pool, self.appended, self.wait_durable = log.pool, log.appended, log.wait_durable
        self.memory = log

    def has_room(self, *, reserved: bool = False) -> bool:
        return self.memory.room or reserved


@pytest.fixture
def site() -> Site:
    rig = Rig.with_settings(private=True)
    rig.issue(1)
    return Site(rig, ServiceCommands(rig.service, Log(rig.log), b"s" * 32))


async def test_a_factor(site: Site) -> None:
    """A factor is set, listed and ended by two events that name the actor."""
    site.announce(0)
    factor = await site.commands.set_factor(FREE, BY)
    assert factor == ports.Factor(1, 3, evolve(FREE, from_us=START_US))
    assert (site.read.factor(1), list(site.read.factors(0))) == (factor, [factor])
    site.announce(10)
    await site.commands.end_factor(1, BY)
    assert (site.read.factor(1), list(site.read.factors(0))) == (None, [])
    site.announce(11)
    by = {"token": "ops", "address": "192.0.2.1", "request_id": "r-1", "reason": "because"}
    assert site.appended() == [
        {
            "type": "credit_factor_set", "factor": 1, "scope": "torrent", "info_hash": HASH.hex(),
            "download_percent": 0, "from_us": START_US, "until_us": None, "label": "freeleech",
            "by": by,
        },
        {"type": "credit_factor_ended", "factor": 1, "by": by},
    ]  # fmt: skip
    totals = site.read.account(1)
    assert totals is not None
    assert (totals.uploaded, totals.downloaded) == (11, 11)
    assert (totals.credited_uploaded, totals.credited_downloaded) == (11, 1)
    assert replayed(site.rig.log.frames()).digest() == site.rig.state.digest()


SCOPES = {
    "global": ports.FactorTerms(upload_percent=0),
    "torrent": FREE,
    "account": ports.FactorTerms(account=1, upload_percent=10_000, download_percent=50),
    "torrent+account": evolve(FREE, account=1),
}


@pytest.mark.parametrize("scope", SCOPES)
async def test_scopes(site: Site, scope: str) -> None:
    """The event names the scope of a factor, and the API returns the factor as requested."""
    factor = await site.commands.set_factor(SCOPES[scope], BY)
    assert site.appended()[0]["scope"] == scope
    assert factor.terms == evolve(SCOPES[scope], from_us=START_US)
    assert site.read.factor(1) == factor


async def test_the_same_again(site: Site) -> None:
    """A repeated request returns the factor in force. A different request makes a new factor."""
    first = await site.commands.set_factor(FREE, BY)
    site.rig.time.advance(SECOND)
    later = evolve(FREE, from_us=START_US + 5 * SECOND)
    second = await site.commands.set_factor(later, BY)
    assert second.number == 2
    site.rig.time.advance(9 * SECOND)
    assert await site.commands.set_factor(FREE, BY) == first
    assert await site.commands.set_factor(later, BY) == second  # though it began by now
    for other in (
        evolve(FREE, label=""),
        evolve(FREE, upload_percent=100),
        evolve(FREE, until_us=START_US + 60 * SECOND),
        evolve(FREE, account=1),
    ):
        await site.commands.set_factor(other, BY)
    assert len(site.appended()) == 6
    await site.commands.end_factor(1, BY)
    await site.commands.end_factor(2, BY)
    assert (await site.commands.set_factor(FREE, BY)).number == 7


REFUSED: dict[str, tuple[ports.FactorTerms, str]] = {
    "says nothing": (ports.FactorTerms(), "says nothing"),
    "below nothing": (ports.FactorTerms(upload_percent=-1), "percentages"),
    "too much": (ports.FactorTerms(download_percent=10_001), "percentages"),
    "no info hash": (evolve(FREE, info_hash=b""), "20 bytes"),
    "in the past": (evolve(FREE, from_us=START_US - 1), "in the past"),
    "over already": (evolve(FREE, until_us=START_US), "never be in force"),
    "over before it begins": (
        evolve(FREE, from_us=START_US + 9, until_us=START_US + 9),
        "never be in force",
    ),
    "too late": (evolve(FREE, until_us=END_US), "year 9999"),
    "a long label": (evolve(FREE, label="x" * 101), "label"),
    "a label of two lines": (evolve(FREE, label="a\nb"), "label"),
    "half a character": (evolve(FREE, label="\ud800"), "label"),
    "nobody's account": (evolve(FREE, account=2), "no account 2"),
    "account 0": (evolve(FREE, account=0), "no account 0"),
}


@pytest.mark.parametrize(("terms", "reason"), REFUSED.values(), ids=REFUSED)
async def test_refused_factors(site: Site, terms: ports.FactorTerms, reason: str) -> None:
    """A malformed factor is refused with its reason, and nothing is appended."""
    with pytest.raises(ports.InvalidFactorError, match=reason):
        await site.commands.set_factor(terms, BY)
    assert site.appended() == []


async def test_the_number_of_factors_of_a_torrent_is_limited(site: Site) -> None:
    """The limit of factors for one torrent counts only those that are not over."""
    ends = START_US + SECOND
    for percent in range(MOST_PER_SCOPE):
        terms = evolve(FREE, download_percent=percent, until_us=ends)
        await site.commands.set_factor(terms, BY)
    with pytest.raises(ports.InvalidFactorError, match="already"):
        await site.commands.set_factor(evolve(FREE, label="one more"), BY)
    await site.commands.set_factor(ports.FactorTerms(download_percent=0), BY)
    site.rig.time.advance(SECOND)
    await site.commands.set_factor(evolve(FREE, label="one more"), BY)
    assert [one.terms.label for one in site.read.factors(0)] == ["", "one more"]


async def test_ending_a_factor_that_is_over(site: Site) -> None:
    """Ending a factor that is over is refused and appends nothing, as with an unknown number."""
    await site.commands.set_factor(FREE, BY)
    await site.commands.set_factor(evolve(FREE, until_us=START_US + SECOND), BY)
    site.rig.time.advance(SECOND)
    await site.commands.end_factor(1, BY)
    assert len(site.appended()) == 3
    for number in (1, 2, 0, 3, -1):
        with pytest.raises(ports.UnknownFactorError):
            await site.commands.end_factor(number, BY)


async def test_a_correction(site: Site) -> None:
    """A correction is durable, and changes the credited totals only."""
    site.announce(0)
    site.announce(100)
    seq = await site.commands.correct(ports.Correction(1, -100, 7, 3), BY)
    assert seq == 4
    told = site.appended()[0]
    assert {name: told[name] for name in ("account", "uploaded", "downloaded", "corrects")} == {
        "account": 1, "uploaded": -100, "downloaded": 7, "corrects": 3,
    }  # fmt: skip
    totals = site.read.account(1)
    assert totals is not None
    assert (totals.uploaded, totals.credited_uploaded, totals.credited_downloaded) == (100, 0, 107)
    assert site.read.account(2) is None


async def test_a_correction_is_made_once(site: Site) -> None:
    """The same idempotency key gets the same answer, after a restart too. Other amounts are
    refused.
    """
    by = evolve(BY, idempotency_key="ticket 7")
    asked = ports.Correction(1, 50, 0, 1)
    seqs = {await site.commands.correct(asked, by) for _ in range(3)}
    assert len(seqs) == 1
    with pytest.raises(ports.RepeatedRequestError):
        await site.commands.correct(evolve(asked, uploaded=51), by)
    with pytest.raises(ports.RepeatedRequestError):
        await site.commands.issue_key(ports.NewKey(), by)
    assert await site.commands.correct(asked, evolve(by, token="other")) not in seqs
    assert site.rig.totals(1).credited_uploaded == 100
    assert replayed(site.rig.log.frames()).digest() == site.rig.state.digest()


CORRECTIONS: dict[str, tuple[ports.Correction, ports.Actor, type[Exception], str]] = {
    "nobody": (ports.Correction(2, 1, 0, 0), BY, ports.UnknownAccountError, "no account 2"),
    "no reason": (
        ports.Correction(1, 1, 0, 0),
        evolve(BY, reason=""),
        ports.InvalidCorrectionError,
        "reason",
    ),
    "nothing": (ports.Correction(1, 0, 0, 0), BY, ports.InvalidCorrectionError, "nothing"),
    "no event yet": (ports.Correction(1, 1, 0, 4), BY, ports.InvalidCorrectionError, "no event 4"),
    "the first start": (
        ports.Correction(1, 1, 0, 0),
        BY,
        ports.InvalidCorrectionError,
        "no event 0",
    ),
    "no event": (ports.Correction(1, 1, 0, -1), BY, ports.InvalidCorrectionError, "no event -1"),
    "below zero": (ports.Correction(1, 0, -11, 3), BY, ports.InvalidCorrectionError, "-1 bytes"),
    "past the range": (
        ports.Correction(1, MOST - 9, 0, 3),
        BY,
        ports.InvalidCorrectionError,
        "18446744073709551616",
    ),
}


@pytest.mark.parametrize("name", CORRECTIONS)
async def test_refused_corrections(site: Site, name: str) -> None:
    """A malformed correction is refused with its reason, and nothing is appended."""
    asked, by, error, reason = CORRECTIONS[name]
    site.announce(0)
    site.announce(10)
    with pytest.raises(error, match=reason):
        await site.commands.correct(asked, by)
    assert site.appended() == []


async def test_a_new_account(site: Site) -> None:
    """An account without announces has zeros, and nulls for times. Reading it changes nothing."""
    digest = site.rig.state.digest()
    assert site.read.account(1) == ports.Account(1, 0, 0, 0, 0, 0, 0, 0, None, None)
    assert site.rig.state.digest() == digest

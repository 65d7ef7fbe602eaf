"""Declares the parameters of a population: which share of its members has which oddity."""

from __future__ import annotations

from attrs import frozen


@frozen
class Shares:
    """The parameters of honest life. Shares are from 0 to 1; other units are named."""

    # Kinds of clients. Each member has one of these, and the rest has a laptop.
    always_on: float = 0.36  # a home server or NAS
    evening: float = 0.36  # a desktop that is on for some hours a day
    seedbox: float = 0.06  # 1 to 10 Gbit/s
    second_client: float = 0.08  # members with another client, mostly a seedbox, on their account

    # Networks.
    household: float = 0.04  # members behind one NAT with another member
    cgnat: float = 0.08  # members behind a few addresses of their provider
    default_port: float = 0.1  # clients that kept the port that their program came with
    dual_stack: float = 0.25  # clients that announce over IPv4 and IPv6
    daily_address: float = 0.3  # clients at home whose provider gives them another address each day
    vpn: float = 0.1  # clients whose VPN changes its exit, also within a transfer
    laptop_moves: float = 0.5  # of the times that a laptop wakes up: in another network

    # Clients.
    stuck_version: float = 0.01  # clients of a version that always reports 0 as `downloaded`
    stuck_alone: float = 0.001  # clients that do so, though others of their version do not
    silent_end: float = 0.15  # of the times that a client ends: without `stopped`
    super_seeding: float = 0.1  # first seeders that hand each piece out about once
    wrong_clock: float = 0.03  # clients whose timer is up to 20 % fast or slow
    late: float = 0.03  # of the announces: up to 25 minutes late
    early: float = 0.01  # of the announces: soon after the one before
    repeated: float = 0.003  # of the announces: arrive twice, as they are
    overtaken: float = 0.001  # of the announces: arrive after later ones, with older counters
    other_client: float = 0.01  # clients with a version that nobody else has
    restart_days: float = 10.0  # mean days between restarts of what is always on
    overhead: float = 0.03  # greatest part that a client counts as uploaded beside the payload
    hash_fail: float = 0.002  # of the transfers: a piece is received in vain

    # Transfers.
    silent_leecher: float = 0.03  # of the downloads: the client falls silent before the end
    partial: float = 0.06  # of the downloads: some files are deselected
    existing: float = 0.06  # of the added torrents: the files are there, whole or nearly
    again: float = 0.2  # of the wishes for a torrent that the member had before: downloads again
    cross_seed: float = 0.5  # of the completed torrents with a twin: the twin is added, too
    recheck_days: float = 60.0  # mean days between rechecks of a torrent
    checks_aloud: float = 0.3  # of the checks: the client announces meanwhile, with a lower `left`
    corrupt: float = 0.2  # of the rechecks: something is damaged, and downloaded anew

    # The site.
    downloads: float = 0.2  # downloads a member and day
    seeding_days: float = 1.6  # median of the time that a member seeds what it has
    torrents: float = 0.1  # torrents a member
    popularity: float = 0.9  # exponent of the power law of popularity
    new: float = 0.5  # of the torrents: published while the population lives, not before
    fresh: float = 0.5  # of the downloads: one of the newest torrents
    grabbed: float = 0.003  # of the members: their client takes a new torrent within ten minutes
    freeleech_days: float = 10.0  # days between days of freeleech, with three times the downloads
    outages: int = 2  # of the tracker, of 2 to 6 hours, in the whole time


@frozen
class Cheats:
    """The share of cheats among all members, and which kinds there are, each with its sizes."""

    share: float = 0.0
    kinds: tuple[tuple[str, tuple[float, ...]], ...] = (
        ("multiple", (1.2, 2.0, 5.0)),  # reports so many times what it uploaded
        ("rate", (20e3, 200e3, 2e6)),  # adds so many bytes a second while there are leechers
        ("idle", (20e3, 200e3, 2e6)),  # adds them while there are none
        ("beyond", (0.3, 1.0, 3.0)),  # adds so many sizes of the torrent when it has it
        ("ghost leech", (0.0, 0.02)),  # reports so much of what it downloaded
        ("dark leech", (0.0,)),  # takes the list, is silent, and comes back complete
        ("shared", (3.0, 6.0)),  # so many people use one account
    )

    def all(self) -> list[tuple[str, float]]:
        """Returns each kind with each of its sizes."""
        return [(kind, size) for kind, sizes in self.kinds for size in sizes]


HONEST = Cheats()

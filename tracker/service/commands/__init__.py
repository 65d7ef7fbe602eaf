"""Carries out administrators' commands.

Each command decides by the state, appends its event, and replies once the event is durable.
"""

from tracker.service.commands.accounts import AccountCommands
from tracker.service.commands.cases import CaseCommands
from tracker.service.commands.credit import CreditCommands
from tracker.service.commands.freeleech import FreeleechCommands
from tracker.service.commands.hit_and_run import HitAndRunCommands
from tracker.service.commands.keys import KeyCommands
from tracker.service.commands.limits import LimitCommands
from tracker.service.commands.looks import LookCommands
from tracker.service.commands.sanctions import SanctionCommands
from tracker.service.commands.settings import SettingCommands
from tracker.service.commands.tokens import TokenCommands
from tracker.service.commands.torrents import TorrentCommands
from tracker.service.commands.whitelist import WhitelistCommands


class ServiceCommands(
    AccountCommands,
    WhitelistCommands,
    KeyCommands,
    CreditCommands,
    FreeleechCommands,
    TorrentCommands,
    HitAndRunCommands,
    LookCommands,
    SanctionCommands,
    LimitCommands,
    CaseCommands,
    SettingCommands,
    TokenCommands,
):
    """Implements `ports.Commands` with the service."""

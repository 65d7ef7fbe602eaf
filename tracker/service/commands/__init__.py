"""Administrators' writes: decide against the state, append, and answer once the event is
durable.
"""

from tracker.service.commands.credit import CreditCommands
from tracker.service.commands.keys import KeyCommands
from tracker.service.commands.whitelist import WhitelistCommands


class ServiceCommands(WhitelistCommands, KeyCommands, CreditCommands):
    """`ports.Commands` over the service."""

"""Lists all pages and actions of the console: their order is that of the navigation."""

from __future__ import annotations

from typing import Final

from api.console.event import EVENT
from api.console.log import KINDS, LOG
from api.console.member import MEMBER
from api.console.page import Screens
from api.console.search import SEARCH
from api.console.today import TODAY
from api.console.torrent import TORRENTS

_PARTS: Final = (MEMBER, TORRENTS)

SCREENS: Final = Screens(
    pages=(TODAY, LOG, KINDS, EVENT, SEARCH, *(page for part in _PARTS for page in part.pages)),
    actions=tuple(action for part in _PARTS for action in part.actions),
)

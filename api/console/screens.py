"""Lists all pages and actions of the console: their order is that of the navigation."""

from __future__ import annotations

from typing import Final

from api.console.cases import CASES
from api.console.changes import CHANGES
from api.console.event import EVENT
from api.console.health import HEALTH
from api.console.judged import JUDGED
from api.console.key import KEY
from api.console.keys import KEYS
from api.console.log import KINDS, LOG
from api.console.member import MEMBER
from api.console.page import Screens
from api.console.rates import RATES
from api.console.search import SEARCH
from api.console.settings import SETTINGS
from api.console.stays import STAYS
from api.console.today import TODAY
from api.console.torrent import TORRENTS

SCREENS: Final = Screens(
    pages=(
        *(TODAY, RATES, *CASES.pages, *JUDGED.pages, LOG, KINDS, EVENT, STAYS, CHANGES),
        *(HEALTH, SEARCH),
        *MEMBER.pages,
        *TORRENTS.pages,
        *KEYS.pages,
        *KEY.pages,
        *SETTINGS.pages,
    ),
    actions=(
        *(*CASES.actions, *JUDGED.actions, *MEMBER.actions),
        *(*TORRENTS.actions, *KEYS.actions, *KEY.actions, *SETTINGS.actions),
    ),
)

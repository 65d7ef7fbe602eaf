"""Lists all pages and actions of the console: their order is that of the navigation."""

from __future__ import annotations

from typing import Final

from api.console.page import Screens
from api.console.search import SEARCH
from api.console.today import TODAY

SCREENS: Final = Screens(pages=(TODAY, SEARCH), actions=())

"""Lists the screens that are looked at in every way: two colour schemes, a narrow window, without
scripts, by each token.

A row is a path, and a text that is on the page. A new page adds its row here.
"""

from __future__ import annotations

SCREENS = [
    ("/today", "Last changes by staff"),
    ("/log", "Live"),
    ("/log?from=0&type=announced", "The newest"),
    ("/log/kinds?from=1h+ago", "Each bar leads to its events"),
    ("/events/15", "Peers returned"),
    ("/events/3", "By whom"),
    ("/search?q=no+such+thing", "Nothing is called like this"),
]

"""Lists the screens that are looked at in every way: two colour schemes, a narrow window, without
scripts, by each token.

A row is a path, and a text that is on the page. A new page adds its row here.
"""

from __future__ import annotations

TORRENT = "/torrents/" + "01" * 20
SCREENS = [
    ("/today", "Last changes by staff"),
    ("/today/rates?hours=1", "Refusals a minute"),
    ("/cases?state=open,taken,waiting,confirmed,harmless,mistaken", "in all"),
    ("/hit-and-run", "Downloads that are judged"),
    ("/changes", "From where"),
    ("/health", "Retention and shredding"),
    ("/log", "Live"),
    ("/log?from=0&type=announced", "The newest"),
    ("/log/kinds?from=1h+ago", "Each bar leads to its events"),
    ("/events/15?wait=1", "Peers returned"),
    ("/events/15?wait=0", "The explanation was left out"),
    ("/events/3", "By whom"),
    ("/stays", "Stays, in the order in which they began"),
    ("/stays?address=127.0.0.1", "Nobody was looked for"),
    ("/keys", "Last used"),
    ("/keys/1", "Who issued it, who revoked it"),
    ("/whitelist", "Whitelist"),
    ("/bulk", "Many at once"),
    ("/settings", "In force"),
    ("/settings?key=policy.max_peers", "Changes, the newest first"),
    ("/hit-and-run/rule", "Rules, the newest first"),
    ("/search?q=no+such+thing", "Nothing is called like this"),
    ("/search?q=4", "It could be each of these"),
    ("/members/1", "Last announce"),
    ("/members/owner:bert/ledger", "How it was counted"),
    ("/members/2/now", "In these swarms now"),
    ("/members/2/torrents", "What the member did in each torrent"),
    ("/members/2/hit-and-run", "Hit and run: bert"),
    ("/members/1/notes", "What staff did and noted"),
    (TORRENT, "Claimed: up"),
    (f"{TORRENT}/peers", "Last announce"),
    (f"{TORRENT}/snatches", "Nobody has completed it"),
    (f"{TORRENT}/handed?account=1&wait=1", "What did a member receive?"),
    (f"{TORRENT}/time?span=all&with=now", "Moment within the log"),
]
FULL_SCREENS = [("/settings/dry-run?key=policy.max_peers&value=3&wait=1", "By this value")]
"""Screens that need a token of scope full."""

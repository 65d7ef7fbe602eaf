"""What staff may do on the screen Torrent: the whitelist, the blacklist, and hit and run of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from api.console.page import Action

if TYPE_CHECKING:
    from api.console.api import Api
    from api.console.page import Asked, Form

_AT: Final = "/torrents/{info_hash}"


async def _whitelist(api: Api, asked: Asked, _form: Form) -> str:
    await api.change("PUT", "/api/v2/whitelist/{info_hash}", info_hash=asked.get("info_hash"))
    return "The torrent is on the whitelist."


async def _delist(api: Api, asked: Asked, _form: Form) -> str:
    await api.change("DELETE", "/api/v2/whitelist/{info_hash}", info_hash=asked.get("info_hash"))
    return "The torrent is off the whitelist."


async def _blacklist(api: Api, asked: Asked, form: Form) -> str:
    body = {"public": form.get("public") == "1"}
    path = "/api/v2/blacklist/{info_hash}"
    done = await api.change("PUT", path, body, info_hash=asked.get("info_hash"))
    return f"The torrent is on the blacklist; its peers have left (event {done['seq']})."


async def _unblacklist(api: Api, asked: Asked, _form: Form) -> str:
    path = "/api/v2/blacklist/{info_hash}"
    done = await api.change("DELETE", path, info_hash=asked.get("info_hash"))
    return f"The torrent is off the blacklist (event {done['seq']})."


async def _void(api: Api, asked: Asked, _form: Form) -> str:
    body = {"info_hash": asked.get("info_hash")}
    done = await api.change("POST", "/api/v2/hit-and-run/voids", body)
    return f"Downloads that have begun are not judged (event {done['seq']})."


ACTIONS: Final = (
    Action(path=f"{_AT}/whitelist", act=_whitelist, needs="moderator"),
    Action(path=f"{_AT}/whitelist/end", act=_delist, needs="moderator"),
    Action(path=f"{_AT}/blacklist", act=_blacklist, needs="moderator"),
    Action(path=f"{_AT}/blacklist/end", act=_unblacklist, needs="moderator"),
    Action(path=f"{_AT}/voids", act=_void),
)

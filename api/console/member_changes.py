"""What staff may do on the screen Member. Each is a change through the API, with the reason that
the form has, and says in words what was done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from api.console import formats, given
from api.console.api import ProblemError
from api.console.page import Action

if TYPE_CHECKING:
    from api.console.api import Api
    from api.console.page import Asked, Form

_ACCOUNT: Final = "/api/v2/accounts/{account}"
_KEYS: Final = 1000
_SANCTIONS: Final = {"leech-off": "Leech off", "hidden": "Hiding"}


def _imposing(name: str, *, on: bool) -> Action:
    async def act(api: Api, asked: Asked, form: Form) -> str:
        path, what = f"{_ACCOUNT}/{name}", _SANCTIONS[name]
        if not on:
            done = await api.change("DELETE", path, account=asked.get("account"))
            return f"{what} is lifted (event {done['seq']})."
        until = given.moment(form, "until", asked.now, ahead=True)
        done = await api.change("PUT", path, {"until": until}, account=asked.get("account"))
        end = f"until {formats.moment(until)} UTC" if until else "until it is lifted"
        return f"{what} stands {end} (event {done['seq']})."

    return Action(path=f"/members/{{account}}/{name}{'' if on else '/lift'}", act=act)


async def _make_immune(api: Api, asked: Asked, form: Form) -> str:
    begin = given.moment(form, "from", asked.now, ahead=True)
    path = f"{_ACCOUNT}/immunity"
    done = await api.change("PUT", path, {"from": begin}, account=asked.get("account"))
    return f"The member is immune {f'from {formats.moment(begin)} UTC on' if begin else 'from now on'} (event {done['seq']})."


async def _end_immunity(api: Api, asked: Asked, _form: Form) -> str:
    done = await api.change("DELETE", f"{_ACCOUNT}/immunity", account=asked.get("account"))
    return f"The member is judged again (event {done['seq']})."


async def _limit(api: Api, asked: Asked, form: Form) -> str:
    path = f"{_ACCOUNT}/limits"
    own = (await api.get(path, account=asked.get("account")))["own"]  # names every limit there is
    limits = {name: given.whole(form, name) for name in own}
    done = await api.change("PUT", path, limits, account=asked.get("account"))
    said = ", ".join(
        f"{formats.words(name)} {'as the policy' if each is None else each}"
        for name, each in limits.items()
    )
    return f"Limits are set: {said} (event {done['seq']})."


async def _correct(api: Api, asked: Asked, form: Form) -> str:
    body = {
        "uploaded": given.size(form, "uploaded"),
        "downloaded": given.size(form, "downloaded"),
        "corrects": given.whole(form, "corrects"),
    }
    done = await api.change("POST", f"{_ACCOUNT}/corrections", body, account=asked.get("account"))
    up, down = formats.signed_size(body["uploaded"]), formats.signed_size(body["downloaded"])
    return f"The credited totals are corrected: up {up}, down {down} (event {done['seq']})."


async def _pardon(api: Api, asked: Asked, form: Form) -> str:
    account = await _number(api, asked)
    body = {
        "account": account,
        "info_hash": form.get("info_hash") or None,
        "from": given.moment(form, "from", asked.now, ahead=False),
        "until": given.moment(form, "until", asked.now, ahead=False),
    }
    done = await api.change(
        "POST",
        "/api/v2/hit-and-run/pardons",
        {name: each for name, each in body.items() if each is not None},
    )
    return f"The violations are pardoned (event {done['seq']}). They show so within ten seconds."


async def rotated(api: Api, key: int | str) -> str:
    """Replaces a key; returns what was done, with the new key, which nobody can see later."""
    done = await api.change("POST", "/api/v2/keys/{key}/rotate", key=key)
    urls = done.get("announce_urls") or ()
    return f"Key {key} is replaced by key {done['key_ref']}, which is shown only now: {' '.join(urls) or done['key']}"


async def revoked(api: Api, key: int | str) -> str:
    """Revokes a key; returns what was done."""
    await api.change("DELETE", "/api/v2/keys/{key}", key=key)
    return f"Key {key} is revoked; its peers have left."


async def _rotate(api: Api, asked: Asked, form: Form) -> str:
    return await rotated(api, await _own_key(api, asked, form))


async def _revoke(api: Api, asked: Asked, form: Form) -> str:
    return await revoked(api, await _own_key(api, asked, form))


async def _revoke_all(api: Api, asked: Asked, _form: Form) -> str:
    """Revokes all keys of the owner together; those of an account without an owner one by one."""
    account = await api.get(_ACCOUNT, account=asked.get("account"))
    if account["owner"]:
        done = await api.change("POST", "/api/v2/keys/revoke", {"owner": account["owner"]})
        return f"Keys that are revoked: {done['revoked']}. Their peers have left."
    query = {"account": account["account"], "state": "valid", "limit": _KEYS}
    keys = (await api.get("/api/v2/keys", query))["keys"]
    for key in keys:
        await api.change("DELETE", "/api/v2/keys/{key}", key=key["key_ref"])
    return f"Keys that are revoked: {len(keys)}. Their peers have left."


async def _own_key(api: Api, asked: Asked, form: Form) -> int:
    """Returns the key that was chosen. Raises `ProblemError` where it is not the member's."""
    key = given.whole(form, "key_ref")
    if key is None:
        raise ProblemError(422, "No key was chosen", "Choose the number of a key")
    found = await api.get("/api/v2/keys/{key}", key=key)
    if found["account"] != await _number(api, asked):
        detail = f"Key {key} is of another member; its own page changes it"
        raise ProblemError(422, "This is not a key of this member", detail)
    return key


async def _number(api: Api, asked: Asked) -> int:
    return int((await api.get(_ACCOUNT, account=asked.get("account")))["account"])


_AT: Final = "/members/{account}"

ACTIONS: Final = (
    *(_imposing(name, on=on) for name in _SANCTIONS for on in (True, False)),
    Action(path=f"{_AT}/immunity", act=_make_immune),
    Action(path=f"{_AT}/immunity/end", act=_end_immunity),
    Action(path=f"{_AT}/limits", act=_limit),
    Action(path=f"{_AT}/corrections", act=_correct),
    Action(path=f"{_AT}/pardons", act=_pardon),
    Action(path=f"{_AT}/keys/rotate", act=_rotate),
    Action(path=f"{_AT}/keys/revoke", act=_revoke, needs="moderator"),
    Action(path=f"{_AT}/keys/revoke-all", act=_revoke_all, needs="moderator"),
)

"""Composes the console's application: pages, actions, sign-in, and what every answer has.

`serve` in `api/serve.py` runs it. It keeps sessions, and nothing else.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen
from quart import g, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from api import auth
from api.console import assets, guard
from api.console.api import LinkedApi, ProblemError
from api.console.csv_text import csv_of
from api.console.link import DownError, Link
from api.console.page import Asked, ElsewhereError, Form, Screens, may
from api.console.sessions import LASTS_SECONDS, Session, Sessions
from api.console.sign_in import SignIn
from api.console.views import Views
from api.console.work import Crew, Works
from api.replies import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from api.console.api import Api
    from api.console.page import Action, Page

_log = logging.getLogger(__name__)

HTML: Final = "text/html; charset=utf-8"
OPEN: Final = ("/sign-in", "/static/")
"""Beginnings of the paths that need no session."""
MOST_SENT: Final = 1 << 20
"""Most bytes of a form, which may have a long list in it."""
_ONCE: Final = re.compile(r"[A-Za-z0-9_-]{0,64}")
"""The number of a form that is sent once; "" = it may be sent again."""
_TOO_LARGE: Final = f"A form has {MOST_SENT >> 20} MiB at most: send a long list in parts"
TRY_AGAIN_SECONDS: Final = 5
"""After so many seconds a page about a tracker that does not answer tries again."""


@frozen
class Console:
    """`api_of` makes the API of a token, and for whom it asks."""

    screens: Screens
    views: Views
    sessions: Sessions
    api_of: Callable[[str, str], Api]
    crew: Crew
    files: Mapping[str, assets.Asset] = field(factory=assets.load)

    # Reading.

    async def page(self, page: Page, form: str, **names: str) -> Response:
        """Answers with a page. `form`: "" = HTML, "json" or "csv"."""
        session = _session()
        if not may(session.scope, page.needs):
            raise ProblemError(403, "Not with this token", _too_little(session, page.needs))
        query = request.args.to_dict(flat=False)
        if request.method == "POST":
            query.update(await _sent())
        if form:
            query.setdefault("wait", ["1"])  # data are whole, and never come late
        looks = page.looks and request.method == "POST"
        reason, works = _reason(query) if looks else "", Works(self.crew, session.works)
        asked = Asked(names, query, time.time(), reason, works)
        data = await page.load(self._api(session), asked)
        if form == "json":
            return _text(json.dumps(data, ensure_ascii=False), "application/json")
        if form == "csv":
            return _csv(page, data, asked)
        fragment = _wants_fragment()
        notice = "" if fragment else session.notice
        if not fragment and request.method != "HEAD":
            session.notice = ""
        shown = {
            **names,
            **{name: str(each) for name, each in data.items() if isinstance(each, (str, int))},
        }
        return _html(
            self.views.show(
                page.template,
                session,
                fragment=fragment,
                page=page,
                title=_filled(page.title, shown),
                data=data,
                asked=asked,
                path=guard.own_path(request),
                here=guard.here(request),
                said=page.said(asked, shown),
                notice=notice,
                once=secrets.token_urlsafe(16),
            )
        )

    def _api(self, session: Session) -> Api:
        forwarded = request.headers.getlist("x-forwarded-for")
        client = request.scope.get("client")
        if client:
            forwarded.append(client[0])
        return self.api_of(session.token, ", ".join(forwarded))

    # Changing.

    async def act(self, action: Action, **names: str) -> Response:
        session = _session()
        fields = (await request.form).to_dict(flat=False)
        form = Form(fields=fields)
        if not may(session.scope, action.needs):
            raise ProblemError(403, "Not with this token", _too_little(session, action.needs))
        if not _ONCE.fullmatch(form.get("once")):
            detail = "once: expected what the form on the page has. Open the page again"
            raise ProblemError(422, "The form is not complete", detail)
        reason = _reason(form.fields) if action.reason else ""
        asked = Asked(names, {}, time.time(), reason, Works(self.crew, session.works))
        api = self._api(session).saying(reason, form.get("once"))
        session.notice = await action.act(api, asked, form)
        return _redirect(guard.local_path(form.get("back")))

    # What is not a page.

    async def asset(self, path: str) -> Response:
        found = self.files.get(path)
        if found is None:
            raise ProblemError(404, "There is nothing here")
        response = Response(found.body, content_type=found.kind)
        fixed = request.args.get("v") == found.version
        response.headers["cache-control"] = (
            "public, max-age=31536000, immutable" if fixed else "no-cache"
        )
        return response

    async def root(self) -> Response:
        return _redirect(self.screens.pages[0].path)

    # Hooks.

    async def admit(self) -> Response | None:
        """Lets a request in that has a session, or needs none; runs before routing errors do."""
        if request.method not in auth.READING and not guard.is_own(request):
            detail = "The request did not come from a page of this console"
            raise ProblemError(403, "Refused", detail)
        g.session = self.sessions.find(request.cookies.get(guard.cookie_name(request), ""))
        if g.session is not None:
            auth.keep_connection(request, writes=g.session.scope != "read")
        if g.session is not None or request.path.startswith(OPEN):
            return None
        if guard.from_elsewhere(request) and request.method == "GET" and _form() == "":
            # The cookie is strict: a link from elsewhere comes without it, a page's own with it.
            onward = guard.local_path(guard.here(request))
            return _html(self.views.show("again.html", None, onward=onward))
        return self._sign_in_first()

    def _sign_in_first(self) -> Response:
        where = f"/sign-in?{_next()}"
        if _wants_fragment():
            response = _html("", 401)
            response.headers["hx-redirect"] = where
            return response
        if _form() or request.method != "GET":
            return _problem_json(ProblemError(401, "Sign in first"))
        return _redirect(where)

    async def finish(self, response: Response) -> Response:
        for name, text in guard.HEADERS.items():
            response.headers[name] = text
        response.headers.setdefault("cache-control", "no-store")
        response.headers["vary"] = "Cookie, HX-Request"
        if guard.is_secure(request):
            response.headers["strict-transport-security"] = "max-age=31536000"
        return response

    # Errors.

    async def on_problem(self, error: ProblemError) -> Response:
        if error.status == 401 and g.get("session") is not None:
            self.sessions.end(request.cookies.get(guard.cookie_name(request), ""))
            g.session = None
            return self._sign_in_first()
        return self._trouble(error)

    async def on_down(self, error: DownError) -> Response:
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(error.since))
        title = "The tracker does not answer"
        problem = ProblemError(503, title, str(error), str(TRY_AGAIN_SECONDS))
        return self._trouble(problem, since=since, again=request.method == "GET")

    async def on_http(self, error: HTTPException) -> Response:
        if isinstance(error.code, int) and error.code == 404:
            return self._trouble(ProblemError(404, "There is no such page"))
        detail = _TOO_LARGE if error.code == 413 else ""
        return self._trouble(ProblemError(error.code or 500, error.name, detail))

    async def on_elsewhere(self, error: ElsewhereError) -> Response:
        return _redirect(guard.local_path(error.path))

    async def on_defect(self, error: Exception) -> Response:
        _log.error("the page %s failed", request.path, exc_info=error)
        detail = "An error in the console; the tracker's text log has it"
        return self._trouble(ProblemError(500, "This page failed", detail))

    def _trouble(self, error: ProblemError, *, since: str = "", again: bool = False) -> Response:
        if _form():
            return _problem_json(error)
        fragment = _wants_fragment()
        text = self.views.show(
            "trouble.html",
            g.get("session"),
            fragment=fragment,
            title=error.title,
            detail=error.detail,
            status=error.status,
            since=since,
            seconds=TRY_AGAIN_SECONDS if again else 0,
            back=request.method != "GET",
            path=guard.own_path(request),
        )
        response = _html(text, error.status)
        if fragment:
            response.headers["hx-reswap"] = "none"  # what is there stays; the notice is beside it
        if error.retry_after:
            response.headers["retry-after"] = error.retry_after
        return response


def create_app(link: Link, name: str, screens: Screens, crew: Crew) -> QuartTrio:
    """Builds the console of the API behind `link`. `name`: that of the instance. `crew` does long
    changes; the caller runs it.
    """
    return app_with(
        screens, name, Sessions(), lambda token, whom: LinkedApi(link, token, whom), crew
    )


def app_with(
    screens: Screens, name: str, sessions: Sessions, api_of: Callable[[str, str], Api], crew: Crew
) -> QuartTrio:
    """Builds the console over any API, as tests have one."""
    app = QuartTrio(__name__, static_folder=None, template_folder=None)
    app.response_class = Response
    app.config["MAX_CONTENT_LENGTH"] = MOST_SENT
    app.config["MAX_FORM_MEMORY_SIZE"] = MOST_SENT
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.config["RESPONSE_TIMEOUT"] = None  # a stream goes on; sending has its own limit
    files = assets.load()
    console = Console(screens, Views(name, screens.pages), sessions, api_of, crew, files)
    for error, handler in (
        (ProblemError, console.on_problem), (DownError, console.on_down),
        (HTTPException, console.on_http), (ElsewhereError, console.on_elsewhere),
        (Exception, console.on_defect),
    ):  # fmt: skip
        app.register_error_handler(error, handler)
    app.before_request(console.admit)
    app.after_request(console.finish)
    app.add_url_rule("/", "root", console.root)
    app.add_url_rule("/static/<path:path>", "asset", console.asset)
    SignIn(console.views, sessions, api_of, LASTS_SECONDS).install(app)
    _install(app, console)
    return app


def _install(app: QuartTrio, console: Console) -> None:
    """Routes to each page, its `.json` and, where it has tables, its `.csv`; and to the actions."""

    def showing(page: Page, form: str) -> Any:
        async def show(**names: str) -> Response:
            return await console.page(page, form, **names)

        return show

    def acting(action: Action) -> Any:
        async def act(**names: str) -> Response:
            return await console.act(action, **names)

        return act

    for page in console.screens.pages:
        forms = ("", ".json", ".csv") if page.tables else ("", ".json")
        for form in forms:
            rule = _rule(page.path) + form
            methods = ["GET", "POST"] if (page.looks or page.takes) and not form else ["GET"]
            app.add_url_rule(rule, rule, showing(page, form[1:]), methods=methods)
    for action in console.screens.actions:
        rule = _rule(action.path)
        app.add_url_rule(rule, f"POST {rule}", acting(action), methods=["POST"])


def _rule(path: str) -> str:
    return re.sub(r"{(\w+)}", r"<\1>", path)


def _filled(text: str, names: Mapping[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda found: names.get(found[1], "?"), text)


def _session() -> Session:
    session: Session = g.session
    return session


def _reason(fields: Mapping[str, list[str]]) -> str:
    """Returns the reason in a form, on one line. Raises `ProblemError` where it is empty."""
    reason = " ".join(Form(fields=fields).get("reason").split())
    if not reason:
        raise ProblemError(422, "A reason is needed", "Say why: it is recorded")
    return reason


async def _sent() -> dict[str, list[str]]:
    """Returns the fields of a form, with the text of each file that it has."""
    found: dict[str, list[str]] = (await request.form).to_dict(flat=False)
    for name, one in (await request.files).items():
        found[name] = [one.read().decode("utf-8-sig", "replace")]
    return found


def _too_little(session: Session, needed: str) -> str:
    return (
        f"This needs an access token of scope {needed}; yours, {session.label}, has {session.scope}"
    )


def _wants_fragment() -> bool:
    return request.headers.get("hx-request") == "true"


def _form() -> str:
    """Returns "json" or "csv" for a path that asks for data; "" = it asks for a page."""
    ending = request.path.rpartition(".")[2]
    return ending if ending in ("json", "csv") else ""


def _next() -> str:
    from urllib.parse import urlencode

    return urlencode({"next": guard.local_path(guard.here(request))})


def _csv(page: Page, data: dict[str, Any], asked: Asked) -> Response:
    table = asked.get("table", page.tables[0])
    if table not in page.tables:
        known = ", ".join(page.tables)
        raise ProblemError(400, "There is no such table", f"table: expected one of {known}")
    response = _text(csv_of(data[table] or ()), "text/csv; charset=utf-8")
    response.headers["content-disposition"] = f'attachment; filename="{table}.csv"'
    return response


def _problem_json(error: ProblemError) -> Response:
    said = {"title": error.title, "status": error.status, "detail": error.detail}
    shown = {name: each for name, each in said.items() if each}
    return _text(json.dumps(shown), "application/problem+json", error.status)


def _text(body: str, kind: str, status: int = 200) -> Response:
    return Response(body.encode(errors="replace"), status, content_type=kind)


def _html(body: str, status: int = 200) -> Response:
    return _text(body, HTML, status)


def _redirect(path: str) -> Response:
    response = Response(b"", 303)
    response.headers["location"] = path
    return response

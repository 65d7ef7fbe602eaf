"""Fills templates: a whole page, or only its main part for htmx.

Every value is escaped.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jinja2
from attrs import frozen

from api.console import assets, formats, helpers
from api.console.page import may

if TYPE_CHECKING:
    from api.console.page import Page
    from api.console.sessions import Session

FOLDER: Final = Path(__file__).with_name("templates")


@cache
def environment() -> jinja2.Environment:
    """Makes the templates' environment, once for a process."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    formats.add_to(made)
    helpers.add_to(made)
    files = assets.load()
    made.globals["asset"] = lambda path: f"/static/{path}?v={files[path].version}"
    return made


@frozen
class Views:
    """`name`: that of the instance, which stands on every page."""

    name: str
    pages: tuple[Page, ...]

    def show(
        self, template: str, session: Session | None, *, fragment: bool = False, **context: Any
    ) -> str:
        """Fills a template. `fragment`: only its main part."""
        scope = session.scope if session else ""
        return (
            environment()
            .get_template(template)
            .render(
                {
                    "layout": "fragment.html" if fragment else "base.html",
                    "instance": self.name,
                    "who": session,
                    "menu": [page for page in self.pages if page.menu and may(scope, page.needs)],
                    "may": lambda needed: may(scope, needed),
                    "now": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "path": "",
                    "said": {},
                    "notice": "",
                    **context,
                }
            )
        )

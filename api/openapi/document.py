"""Renders rows of `api.endpoint` as an OpenAPI 3.1 document, and as a page that loads nothing."""

from __future__ import annotations

import json
import re
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from api.openapi.shapes import IN_PATHS, Schema, or_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from api.endpoint import Endpoint

_TITLE = "Swarmlog's REST API"


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Describes `endpoints`, in this order."""
    paths: dict[str, dict[str, Any]] = {}
    for one in endpoints:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": _TITLE, "version": "2"},
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "query": {"type": "apiKey", "in": "query", "name": "token"},
            }
        },
        "security": [{"bearer": []}, {"query": []}],
    }


def _operation(one: Endpoint) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": one.summary,
        "parameters": [*_path_parameters(one), *_named_parameters(one)],
        "responses": {str(status): _response(one, status) for status in sorted(one.responses)},
    }
    if one.body is not None:
        content = {"application/json": {"schema": _asked(one, "", one.body)}}
        described["requestBody"] = {"content": content, "required": one.body_required}
    if one.needs_token:
        described["x-scope"] = one.scope
    else:
        described["security"] = []
    return described


def _path_parameters(one: Endpoint) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", one.path):
        schema = _asked(one, name, IN_PATHS[name])
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _named_parameters(one: Endpoint) -> Iterator[dict[str, Any]]:
    for place, listed in (("query", one.query), ("header", one.headers)):
        for each in listed:
            described = {
                "name": each.name,
                "in": place,
                "schema": _asked(one, each.name, each.schema),
                "description": each.description,
            }
            yield {**described, "required": True} if each.required else described


def _asked(one: Endpoint, name: str, schema: Schema) -> Schema:
    return or_name(name, schema) if one.by_name else schema


def _response(one: Endpoint, status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    content = {media: {"schema": schema} for media, schema in one.responses[status].items()}
    return {**answer, "content": content} if content else answer


_STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
code, pre { font: 13px/1.4 ui-monospace, monospace; } pre { overflow: auto; padding: .6em; background: #8881; }
h2 { font-size: 1em; margin: 1.6em 0 .2em; } table { border-collapse: collapse; } td { padding: .1em 1em .1em 0; }
:root { color-scheme: light dark; }
"""


def page(endpoints: Iterable[Endpoint]) -> str:
    """Describes `endpoints` in HTML, without scripts: a strict Content-Security-Policy suits it."""
    operations = "\n".join(map(_section, endpoints))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(_TITLE)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(_TITLE)}</h1>"
        "<p>An access token goes into the header <code>Authorization: Bearer …</code> or the query, "
        f"<code>?token=…</code>. Machines read <code>/api/v2/openapi.json</code>.</p>{operations}</html>"
    )


def _section(one: Endpoint) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each.name)}</code><td><code>{escape(json.dumps(_asked(one, each.name, each.schema)))}</code>"
        f"<td>{escape(each.description)}"
        for each in (*one.query, *one.headers)
    )
    table = f"<table>{rows}</table>" if rows else ""
    body = "" if one.body is None else f"<p>Body</p>{_pretty(_asked(one, '', one.body))}"
    answers = "".join(
        f"<p>{status} {escape(', '.join(content) or 'empty')}</p>"
        + "".join(map(_pretty, content.values() if status < 300 else ()))
        for status, content in sorted(one.responses.items())
    )
    return (
        f"<h2><code>{one.method} {escape(one.path)}</code></h2><p>{escape(one.summary)}</p>{table}"
        f"<details><summary>Body and answers</summary>{body}{answers}</details>"
    )


def _pretty(schema: dict[str, Any]) -> str:
    return f"<pre>{escape(json.dumps(schema, indent=1))}</pre>"

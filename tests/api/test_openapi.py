"""Tests that the API's description covers every route, and that its page can be parsed."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.api.asking import JSON, ask
from tests.test_docs import endpoints


@pytest.fixture
async def document(app) -> dict[str, Any]:
    """Returns the document as it is served."""
    answer = await ask(app, "GET", "/api/v2/openapi.json")
    assert (answer.status, answer.content_type) == (200, JSON)
    return json.loads(answer.body)


async def test_every_route_is_described(document):
    """The document describes every route of the URL map, its own included."""
    assert document["openapi"] == "3.1.0"
    described = [(verb.upper(), path) for path, of in document["paths"].items() for verb in of]
    assert sorted(described) == endpoints()


async def test_headers_are_described(document):
    """Headers of changes are described, optional and required ones, and that of the stream."""
    paths = document["paths"]

    def headers(method: str, path: str) -> dict[str, bool]:
        parameters = paths[path][method]["parameters"]
        return {
            one["name"]: one.get("required", False) for one in parameters if one["in"] == "header"
        }

    assert headers("get", "/api/v2/keys") == {}
    assert headers("delete", "/api/v1/whitelist/{info_hash}") == {"X-Reason": False}
    assert headers("get", "/api/v2/events/stream") == {
        "Last-Event-ID": False,
        "X-Reason": False,
    }
    for path in (
        "/api/v1/keys",
        "/api/key/{seconds}",
        "/api/v2/keys",
        "/api/v2/keys/import",
        "/api/v2/keys/{key_ref}/rotate",
    ):
        assert headers("post", path) == {"X-Reason": False, "Idempotency-Key": False}
    corrections = headers("post", "/api/v2/accounts/{account}/corrections")
    assert corrections == {"X-Reason": True, "Idempotency-Key": False}


async def test_docs_page(app):
    """The page loads nothing, names every endpoint, and can be parsed."""
    answer = await ask(app, "GET", "/api/v2/docs")
    assert (answer.status, answer.content_type) == (200, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert re.search(r"(?i)<(script|link|img|iframe)|(src|href)=", answer.body) is None
    for method, path in endpoints():
        assert f"<code>{method} {path}</code>" in answer.body
    HTMLParser().feed(answer.body)


def accepts(schema: dict[str, Any], text: str) -> bool:
    """What a client reads in the description."""
    least, most = schema.get("minLength", 0), schema["maxLength"]
    return least <= len(text) <= most and re.search(schema["pattern"], text) is not None


TEXTS = ["", "why", "a b", "a  b", "~", "é", "надо", "\u3000x\u00a0", "\U0001f469\u200d\U0001f4bb"]
TEXTS += [f"a{bad}b" for bad in "\t\n\x1b\x7f\x85\u061c\u200e\u2028\u202e\u2069"]
TEXTS += [letter * count for letter in "xж" for count in (100, 101, 128, 129, 200, 201, 500, 501)]


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/api/v2/keys", "X-Reason"),
        ("/api/v2/keys", "Idempotency-Key"),
        ("/api/v2/keys", "owner"),
        ("/api/v2/keys", "label"),
        ("/api/v2/factors", "label"),
    ],
)
async def test_texts_are_checked_as_described(app, document, path, where):
    """The API takes the texts that fit the description, and refuses all others."""
    operation = document["paths"][path]["post"]
    schemas = {one["name"]: one["schema"] for one in operation["parameters"]}
    members = operation["requestBody"]["content"][JSON]["schema"]["properties"]
    form = {"upload_percent": 1} if path.endswith("factors") else {}
    for text in TEXTS:
        headers = {"content_type": JSON}
        if where in schemas:
            headers[where.lower().replace("-", "_")] = text
            body, schema = form, schemas[where]
        else:
            body, schema = {**form, where: text}, members[where]["anyOf"][0]
        if "\n" in text and where in schemas:
            continue  # no header has it
        answer = await ask(app, "POST", path, body=json.dumps(body).encode(), **headers)
        wanted = (201,) if accepts(schema, text) else (400, 422)
        assert answer.status in wanted, (text, answer)

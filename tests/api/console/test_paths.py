"""Tests that every path that pages and the search bar lead to is a page or an action."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from api.console import app
from api.console.screens import SCREENS
from api.console.search import where
from api.console.views import FOLDER
from tests.api.console.test_search import FORMS, NOW

KNOWN = [
    *(page.path for page in SCREENS.pages),
    *(action.path for action in SCREENS.actions),
    *("/", "/sign-in", "/sign-out", "/static/{path}"),
]
RULES = re.compile("|".join(re.sub(r"{\w+}", "[^/]+", path) for path in KNOWN))
PARTIAL = re.compile(r"/(api|sign-in|static)\b.*")
"""Paths of the API, and beginnings of paths."""
FOUND_FIRST = ("/torrents", "/members")
"""Where candidates of the search bar lead that the API first has to name."""


AT = {"case.html": "/cases/x/x", "member_parts.html": "/members/x"}
"""Where the page of a template is that does not set it itself."""


def is_known(path: str) -> bool:
    bare = re.sub(r"\.(json|csv)$", "", re.split(r"[?#]", path)[0])
    pattern = re.sub(r"(?<=/)x(?=/|$)", "[^/]+", bare)
    return bool(RULES.fullmatch(bare)) or any(re.fullmatch(pattern, one) for one in KNOWN)


def in_template(file: Path) -> set[str]:
    """Returns the paths in a template, with x for what the data fills in."""
    text = file.read_text()
    begin = re.search(r'set at = ("[^%]*) %}', text)
    at = joined(begin[1]) if begin else AT.get(file.name, "")
    text = re.sub(r"{{ (data\.)?at }}", at, text)
    text = re.sub(r"\b(data\.)?at(?= ~)", f'"{at}"', text)
    found = {
        joined(one)
        for one in re.findall(r'(?<!\()"/[a-z][^"{]*"(?:\s*~\s*(?:"[^"]*"|[\w.]+))*', text)
    }
    for one in re.findall(r'(?:href|action|hx-get|hx-post)="(/[^">]*)', text):
        found.add(re.sub(r"{{.*?}}", "x", re.sub(r"{%.*?%}", "", one)))
    return found


def joined(expression: str) -> str:
    return "".join(
        one[1:-1] if one[0] == '"' else "x" for one in re.split(r"\s*~\s*", expression.strip())
    )


def in_module(text: str) -> set[str]:
    """Returns the paths that a module puts together, with x for what is filled in."""
    found = {
        "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.JoinedStr)
    }
    return {path for path in found if re.match(r"/[a-z]", path) and "{" not in path}


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.html")), ids=lambda file: file.name)
def test_links_of_templates(file: Path) -> None:
    assert [path for path in in_template(file) if not is_known(path)] == []


@pytest.mark.parametrize(
    "file", sorted(Path(app.__file__).parent.glob("*.py")), ids=lambda file: file.name
)
def test_paths_of_modules(file: Path) -> None:
    paths = {path for path in in_module(file.read_text()) if not PARTIAL.fullmatch(path)}
    assert [path for path in paths if not is_known(path) and path not in FOUND_FIRST] == []


@pytest.mark.parametrize("text", [text for text, _ in FORMS])
def test_the_search_bar(text: str) -> None:
    paths = [one.path for one in where(text, NOW) if one.path not in FOUND_FIRST]
    assert [path for path in paths if not is_known(path)] == []

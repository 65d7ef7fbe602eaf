"""The parts of templates escape what they show, and are usable by keyboard and screen reader."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader

import api.console
from api.console import formats

ROOM = Path(api.console.__file__).parent
HOSTILE = """"><script>alert('x')</script>"""


def rendered(source: str, **values: object) -> str:
    environment = Environment(loader=FileSystemLoader(ROOM / "templates"), autoescape=True)
    formats.add_to(environment)
    return environment.from_string(source).render(**values)


KINDS = {
    **dict.fromkeys(("bytes", "signed", "number", "rate", "span", "event"), 1500),
    **dict.fromkeys(("time", "age"), HOSTILE),
    **dict.fromkeys(("member", "torrent", "words", "mark", "code", "short", "text"), HOSTILE),
    "ratio": 0.4,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_is_escaped_or_a_dash(kind: str) -> None:
    source = '{% from "parts/values.html" import value %}{{ value(kind, given, row) }}'
    row = {"owner": HOSTILE, "label": HOSTILE, "tone": HOSTILE}
    assert "<script" not in rendered(source, kind=kind, given=KINDS[kind], row=row)
    assert re.sub("<[^>]*>", "", rendered(source, kind=kind, given=None, row=row)) in ("–", "")


def test_a_table_has_a_caption_and_scrolls_in_its_box() -> None:
    source = """{% from "parts/table.html" import data_table %}
        {{- data_table("Peers", columns, rows, ("No peers.", "They come.")) }}"""
    columns = [
        {"name": "account", "heading": "Member", "kind": "member"},
        {
            "name": "up",
            "heading": HOSTILE,
            "kind": "bytes",
            "href": "?sort=up",
            "sorted": "descending",
        },
    ]
    page = rendered(source, columns=columns, rows=[{"account": 1, "up": 1 << 30, "owner": HOSTILE}])
    assert "<caption>Peers</caption>" in page
    assert 'tabindex="0"' in page
    assert 'aria-sort="descending"' in page
    assert 'title="1,073,741,824 bytes">1.00 GiB' in page
    assert "<script" not in page
    nothing = rendered(source, columns=columns, rows=[])
    assert "<table" not in nothing
    assert "They come." in nothing


def test_a_change_asks_for_a_reason_and_goes_by_post() -> None:
    source = '{% from "parts/forms.html" import action %}{{ action(t, t, fields, t, {t: t}) }}'
    fields = [
        {"name": HOSTILE, "label": HOSTILE, "kind": kind, "options": [(HOSTILE, HOSTILE)]}
        for kind in ("text", "area", "choice", "check", "number")
    ]
    page = rendered(source, t=HOSTILE, fields=fields)
    assert "<script" not in page
    assert 'method="post"' in page
    assert re.search(r'name="reason"[^>]* required', page)
    # Each field stands in its label, so that no ids are needed.
    assert page.count("<label") == len(fields) + 1


@pytest.mark.parametrize(
    "source",
    [
        '{% from "parts/notices.html" import notice, empty %}{{ notice(t, "bad") }}{{ empty(t, t, t) }}',
        (
            '{% from "parts/pages.html" import pages, tabs %}{{ pages(1, t, t) }}'
            '{{ tabs([{"href": t, "label": t, "current": true}], t) }}'
        ),
        (
            '{% from "parts/figures.html" import figures, facts %}'
            '{% set one = {"label": t, "kind": "text", "given": t, "href": t, "hint": t, "tone": t} %}'
            "{{ figures([one], t) }}{{ facts([one]) }}"
        ),
        '{% from "parts/source.html" import source %}{{ source(t, t) }}',
        '{% from "parts/pictures.html" import boxed %}{{ boxed(t, t) }}',
    ],
)
def test_hostile_texts_stay_texts(source: str) -> None:
    page = rendered(source, t=HOSTILE)
    assert "&lt;script&gt;" in page
    assert "<script" not in page


def test_the_policy_of_the_pages_is_kept() -> None:
    """No styles and handlers in attributes, no scripts within, nothing from elsewhere."""
    for template in (ROOM / "templates" / "parts").glob("*.html"):
        text = template.read_text()
        assert not re.search(r"\sstyle=|\son[a-z]+=|<script|<style|https?://", text), template.name
    style = (ROOM / "static" / "console.css").read_text()
    assert not re.search(r"url\(|@import|https?://", style)


def test_every_class_has_a_style() -> None:
    """Classes that parts and pictures use are in the style sheet."""
    style = (ROOM / "static" / "console.css").read_text()
    for template in (ROOM / "templates" / "parts").glob("*.html"):
        for classes in re.findall(r'class="([a-z -]+)"', template.read_text()):
            for name in classes.split():
                assert f".{name}" in style or name in ("moment", "age"), (template.name, name)

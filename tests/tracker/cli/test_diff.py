"""Words of `tracker diff`."""

from tracker.cli.diff import _text


def test_facts_are_json() -> None:
    """What was said about a torrent is printed as the API has it."""
    change = {"type": "described", "info_hash": "ab" * 20, "after": {"label": "é", "size": 7}}
    said = 'described info_hash=%s after={"label": "é", "size": 7}' % ("ab" * 20)
    assert _text(change) == said

"""The printed configuration is complete and has no secrets."""

import json

import attrs

from tests.tracker.config.support import MINIMAL, at, from_text
from tracker.config import EventLog, effective


def test_secrets_are_in_no_repr_and_no_printed_form() -> None:
    """Tokens and database passwords stand in no `repr` and no printed configuration."""
    text = f'{MINIMAL}http_api.access_tokens = {{admin = "hunter2", ops = "hunter3"}}\n'
    text += 'core.database.path = "mysql://root:hunter4@db/tracker"\n'
    text += '[[webhooks]]\nname = "site"\nurl = "https://site.example:8443/hunter5?token=hunter6"\n'
    text += 'secret = "hunter7, not hunter2"\ntypes = ["key_issued"]\n'
    loaded = from_text(text)
    printed = effective(loaded.config)
    assert at(loaded.config, "http_api.access_tokens.admin") == "hunter2"
    assert printed["http_api"]["access_tokens"] == {"admin": "***", "ops": "***"}
    assert printed["webhooks"][0]["url"] == "https://site.example:8443/***"
    assert "hunter" not in f"{loaded!r}{loaded}{json.dumps(printed)}"


def test_effective_is_plain_and_complete() -> None:
    """The printed form is JSON with every known key and usual spellings of addresses."""
    text = (
        f'{MINIMAL}core.net.external_ip = "2001:db8::1"\n[[udp_trackers]]\nbind_address = "[::]:0"'
    )
    printed = json.loads(json.dumps(effective(from_text(text).config)))
    assert printed["core"]["net"] == {
        "external_ip": "2001:db8::1",
        "on_reverse_proxy": False,
        "trusted_proxies": [],
        "forwarded_header": "X-Forwarded-For",
    }
    network = {"external_ip": None, "ipv6_v6only": False}
    assert printed["udp_trackers"] == [
        {"bind_address": "[::]:0", "cookie_lifetime": 120, "receivers": 1, "network": network}
    ]
    assert printed["http_api"] is None
    assert printed["event_log"] == attrs.asdict(EventLog())

"""Any value at any key loads or is refused with the configuration error."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tests.tracker.config.support import FLAT, MINIMAL, PRIVATE, V3, from_text
from tracker.config import ConfigError, effective
from tracker.config.keys import IGNORED, known_paths

TOML_VALUES = [
    "1",
    "-1",
    "1.5",
    "true",
    '""',
    '"x"',
    "[]",
    "[1]",
    "[{}]",
    "{}",
    "{a = 1}",
    "07:32:00",
]
FLAT_KEYS = sorted(set(re.findall(r"(?m)^\w+(?= = )", FLAT.partition("[[")[0])))
TABLES = ["udp_trackers", "http_trackers", "http_api", "http_api.tsl_config", "core.private_mode"]
PATHS = [
    *known_paths(), *IGNORED, *TABLES, "metadata", "logging", "core", "event_log", "core.net",
    "udp_trackers.network", "logging.trace_filter", "nothing.like.it",
]  # fmt: skip


def nested(value: str, keys: str, listed: bool) -> str:
    """Returns a TOML value under dotted keys, inside an array when `listed`."""
    table = f"{{{keys} = {value}}}" if keys else value
    return f"[{table}]" if listed else table


@given(
    st.sampled_from([MINIMAL, PRIVATE, V3]),
    st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(TOML_VALUES), st.booleans())),
)
def test_any_value_at_any_key_loads_or_is_refused(
    text: str, changes: list[tuple[str, str, bool]]
) -> None:
    """No value raises anything but the configuration error."""
    overrides = {}
    for path, value, listed in changes:
        top, _, below = path.partition(".")
        overrides[top.upper()] = nested(value, below, listed)
    load_or_check_problems(text, overrides)


@given(st.dictionaries(st.sampled_from(FLAT_KEYS + TABLES[:3]), st.sampled_from(TOML_VALUES)))
def test_any_flat_file_loads_or_is_refused(document: dict[str, str]) -> None:
    """No flat file raises anything but the configuration error."""
    load_or_check_problems("\n".join(f"{key} = {value}" for key, value in document.items()), {})


def load_or_check_problems(text: str, overrides: dict[str, str]) -> None:
    """Loads the text. If that fails, checks that each problem is a line with a text."""
    try:
        effective(from_text(text, **overrides).config)
    except ConfigError as error:
        lines = error.problems
    else:
        return
    known_form = re.compile(r"\S+: \S|Missing mandatory|Unsupported|Configuration error")
    assert lines
    assert [line for line in lines if not known_form.match(line)] == []

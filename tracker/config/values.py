"""Reads each kind of value that a configuration key can hold, and says what is wrong with others.

A reader takes any TOML value and returns the setting, or raises `ValueError` with a reason that
reads well after the key's path. Knows no keys, files or cattrs.
"""

import json
import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Annotated, Any
from urllib.parse import urlsplit

from attrs import frozen

I32_MAX = 2**31 - 1
UNIX = "unix:"
MOST_OF_TITLE = 64  # characters, because it stands on every page
MOST_OF_CONTACT = 200  # characters, so that each UDP reply fits into a packet

_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<v4>[^:\[\]]+)):(?P<port>[0-9]{1,5})")
_HEADER = re.compile(r"[\w!#$%&'*+.^`|~-]{1,64}", re.ASCII)
_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


class KeyProblemsError(ValueError):
    """Keys of one table do not go together; `reasons` has the reason by key."""

    def __init__(self, reasons: dict[str, str]) -> None:
        super().__init__("; ".join(f"{key} {reason}" for key, reason in reasons.items()))
        self.reasons = reasons


@frozen
class Reader:
    """Marks a type as `Annotated[T, Reader(parse)]`: `parse` turns a raw TOML value into a T."""

    parse: Callable[[object], Any]


@frozen
class Address:
    """The address of a listener: an IP address in its usual spelling, and a port (0 = any free
    one).
    """

    host: str
    port: int

    @classmethod
    def parse(cls, value: object) -> "Address":
        """Reads `0.0.0.0:6969` or `[::]:6969`; refuses host names, as the reference does.

        Raises:
            ValueError: the value has another form, or the port is above 65535.
        """
        match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
        try:
            return cls(_host(match), _port(match))
        except ValueError:
            raise ValueError(
                'must be an IP address and a port, such as "0.0.0.0:6969" or "[::]:6969", '
                f"not {shown(value)}"
            ) from None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@frozen
class UnixAddress:
    """The address of a Unix socket, as `unix:/run/tracker/api.sock`."""

    path: str

    def __str__(self) -> str:
        return f"{UNIX}{self.path}"


def stream_address(value: object) -> Address | UnixAddress:
    """Reads an address, or the absolute path of a Unix socket after `unix:`."""
    if not isinstance(value, str) or not value.startswith(UNIX):
        return Address.parse(value)
    path = value.removeprefix(UNIX)
    # The kernel takes 108 bytes, with a zero at the end.
    if path.startswith("/") and "\0" not in path and len(path.encode()) < 108:
        return UnixAddress(path)
    raise ValueError(f'must be an absolute path after "{UNIX}", of at most 107 bytes')


def _host(match: re.Match[str] | None) -> str:
    if match is None:
        raise ValueError("no address")
    return str(IPv6Address(match["v6"]) if match["v6"] else IPv4Address(match["v4"]))


def _port(match: re.Match[str] | None) -> int:
    port = int(match["port"]) if match else -1
    if not 0 <= port <= 65535:
        raise ValueError("no port")
    return port


def shown(value: object) -> str:
    """Returns a value as the file spells it, shortened. Never use it for secrets."""
    if isinstance(value, str | bool | int | float):
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= 60 else f"{text[:56]}…"
    return kind(value)


def kind(value: object) -> str:
    """Returns the kind of a TOML value, without its content."""
    names = {str: "a string", bool: "a boolean", dict: "a table", list: "an array"}
    return names.get(
        type(value), "a number" if isinstance(value, int | float) else "a date or time"
    )


def flag(value: object) -> bool:
    """Reads a TOML boolean; the texts "true" and "yes" are not booleans."""
    if isinstance(value, bool):
        return value
    raise ValueError(f"must be true or false, not {shown(value)}")


def text(value: object) -> str:
    """Reads a string that is not empty."""
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not {shown(value)}")
    if not value:
        raise ValueError("must not be empty")
    if "\0" in value:
        raise ValueError("must not hold a zero byte")
    if value != value.strip():
        raise ValueError("begins or ends with a blank or a line's end: remove it")
    return value


def secret(value: object) -> str:
    """Reads a string that an HTTP header can carry; its errors never repeat the value."""
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not {kind(value)}")
    if not value:
        raise ValueError("must not be empty")
    if value != value.strip():
        raise ValueError(
            "begins or ends with a blank or a line's end, which no request can carry: remove it "
            "(a secret's file must be written without a line's end: printf %s TOKEN)"
        )
    if not value.isprintable():
        raise ValueError("has a character that cannot be printed, which no request can carry")
    return value


def whole(low: int, high: int, unit: str) -> Callable[[object], int]:
    """Returns a reader of whole numbers of `unit` from `low` to `high`, both included."""

    def parse(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        wanted = f"a whole number of {unit} from {low} to {high}"
        raise ValueError(f"must be {wanted}, not {shown(value)}")

    return parse


def whole_or_duration(low: int, high: int) -> Callable[[object], int]:
    """Returns a reader of seconds: a whole number, or Torrust's table of `secs` and `nanos`.

    A started second counts as a whole one.
    """
    seconds = whole(low, high, "seconds")
    secs, nanos = whole(0, high, "seconds"), whole(0, 2**32 - 1, "nanoseconds")

    def parse(value: object) -> int:
        if not isinstance(value, dict):
            return seconds(value)
        if not value.keys() <= {"secs", "nanos"}:
            raise ValueError("must hold secs and nanos alone, as a table")
        whole_and_rest = secs(value.get("secs", 0)) * 10**9 + nanos(value.get("nanos", 0))
        return seconds(-(-whole_and_rest // 10**9))

    return parse


def limit(value: object) -> int:
    """Reads a limit; 0 = no limit."""
    try:
        return whole(0, I32_MAX, "")(value)
    except ValueError:
        wanted = f"a whole number, 0 for no limit, up to {I32_MAX}"
        raise ValueError(f"must be {wanted}; not {shown(value)}") from None


def one_of(*choices: str) -> Callable[[object], str]:
    """Returns a reader of one of these lower-case words, in any case."""

    def parse(value: object) -> str:
        if isinstance(value, str) and value.lower() in choices:
            return value.lower()
        raise ValueError(f"must be one of {', '.join(choices)}; not {shown(value)}")

    return parse


def array(parse: Callable[[object], str]) -> Callable[[object], tuple[str, ...]]:
    """Returns a reader of arrays, with `parse` for each element; reports all wrong elements at
    once.
    """

    def parse_all(value: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise ValueError(f"must be an array, not {shown(value)}")
        found, problems = [], []
        for one in value:
            try:
                found.append(parse(one))
            except ValueError as error:
                problems.append(str(error))
        if problems:
            raise ValueError("; ".join(problems))
        return tuple(found)

    return parse_all


def client(value: object) -> str:
    """Reads the beginning of a peer_id: 1 to 20 printable ASCII characters."""
    if isinstance(value, str) and 1 <= len(value) <= 20 and value.isascii() and value.isprintable():
        return value
    wanted = 'the first characters of a peer id, such as "-qB" or "-TR29"'
    raise ValueError(f"must hold {wanted}, not {shown(value)}")


def ports(value: object) -> str:
    """Reads a port (a number) or a range of ports (`"6881-6889"`); returns text."""
    written = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    match = _PORTS.fullmatch(written) if isinstance(written, str) else None
    if match and 1 <= int(match[1]) <= int(match[2] or match[1]) <= 65535:
        return match[0]
    raise ValueError(
        f'must hold ports from 1 to 65535 or ranges such as "6881-6889", not {shown(value)}'
    )


def network(value: object) -> str:
    """Reads an address or a network; returns text.

    A v4-mapped one becomes IPv4, because clients' addresses are compared with it in that form.
    """
    try:
        found = ip_network(value if isinstance(value, str) else "")
    except ValueError:
        wanted = f'addresses or networks such as "{_network_like(value)}"'
        raise ValueError(f"must hold {wanted}, not {shown(value)}") from None
    mapped = found.network_address.ipv4_mapped if found.version == 6 else None
    inside = mapped and found.prefixlen >= 96
    return f"{mapped}/{found.prefixlen - 96}" if inside else str(found)


def _network_like(value: object) -> str:
    """Returns the network that `10.0.0.1/8` probably means, or an example."""
    try:
        return str(ip_network(value if isinstance(value, str) else "", strict=False))
    except ValueError:
        return "10.0.0.0/8"


def network_or_unix(value: object) -> str:
    """Reads an address, a network, or "unix"; returns text."""
    try:
        return "unix" if value == "unix" else network(value)
    except ValueError:
        wanted = f'addresses or networks such as "{_network_like(value)}", or "unix"'
        raise ValueError(f"must hold {wanted}, not {shown(value)}") from None


def contact(value: object) -> str:
    """Reads a line of text for members, up to 200 characters; "" = none."""
    if isinstance(value, str) and len(value) <= MOST_OF_CONTACT and value.isprintable():
        return value.strip()
    wanted = f"a line of text or a URL, up to {MOST_OF_CONTACT} characters"
    raise ValueError(f"must be {wanted}; not {shown(value)}")


def title(value: object) -> str:
    """Reads a line of text that names something to people: 1 to 64 characters."""
    if isinstance(value, str) and 0 < len(value.strip()) <= MOST_OF_TITLE and value.isprintable():
        return value.strip()
    raise ValueError(f"must be a line of text, 1 to {MOST_OF_TITLE} characters; not {shown(value)}")


def header_name(value: object) -> str:
    """Reads the name of an HTTP header (RFC 9110, 5.1)."""
    if isinstance(value, str) and _HEADER.fullmatch(value):
        return value
    raise ValueError(f'must be the name of a header, such as "X-Real-IP", not {shown(value)}')


def external_ip(value: object) -> IPv4Address | IPv6Address | None:
    """Reads an IP address; "" and the wildcards 0.0.0.0 and :: mean that none is set."""
    if value == "":
        return None
    try:
        # A zone, as in `fe80::1%eth0`, means nothing to clients.
        ip = ip_address(value if isinstance(value, str) and "%" not in value else "")
    except ValueError:
        raise ValueError(f"must be an IP address, not {shown(value)}") from None
    plain = (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip
    return None if plain.is_unspecified else plain


def url(value: object) -> str:
    """Reads an http or https URL without a user and a fragment."""
    given = value if isinstance(value, str) and value.isascii() and value.isprintable() else ""
    try:
        parts = urlsplit(given)
        right = parts.port != 0 and parts.scheme in ("http", "https") and bool(parts.hostname)
        (parts.hostname or "").encode("idna")
    except ValueError:  # no port, or a host that no resolver takes
        right = False
    if right and " " not in given and "@" not in parts.netloc and not parts.fragment:
        return given
    wanted = 'an http or https URL, such as "https://site.example/hook"'
    raise ValueError(f"must be {wanted}, without a user and a fragment")


def origin(given: str) -> str:
    """Returns scheme, host and port of a URL (RFC 6454), because the rest of it may be a secret."""
    parts = urlsplit(given)
    return f"{parts.scheme}://{parts.netloc}"


def name(value: object) -> str:
    """Reads a name that can be that of a file: 1 to 64 of a-z, 0-9, `-` and `_`."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise ValueError(f"must be 1 to 64 of a-z, 0-9, - and _, not {shown(value)}")


def event_type(value: object) -> str:
    """Reads the type of an event of the log."""
    from tracker.domain.derived import DERIVED_TYPES
    from tracker.domain.events.codec import EVENT_TYPES, GROUPS  # takes a while, for a few sites

    if isinstance(value, str) and value in (*EVENT_TYPES, *GROUPS, *DERIVED_TYPES):
        return value
    raise ValueError(f'must hold types of events, such as "key_revoked", not {shown(value)}')


def possible_rate(value: object) -> str:
    """Reads `ACCOUNT=BYTES` or `NETWORK=BYTES`; returns it without blanks."""
    who, _, limit = value.partition("=") if isinstance(value, str) else ("", "", "")
    who, limit = who.strip(), limit.strip()
    if not re.fullmatch(r"[1-9][0-9]{0,18}", limit) or not who:
        wanted = 'the number of an account or a network, and bytes a second, such as "7=2500000000"'
        raise ValueError(f"must hold {wanted}, not {shown(value)}")
    return f"{who if re.fullmatch(r'[1-9][0-9]{0,9}', who) else network(who)}={limit}"


def some(parse: Callable[[object], tuple[str, ...]]) -> Callable[[object], tuple[str, ...]]:
    """Returns a reader of arrays that are not empty."""

    def parse_some(value: object) -> tuple[str, ...]:
        if value == []:
            raise ValueError("must not be empty")
        return parse(value)

    return parse_some


Text = Annotated[str, Reader(text)]
Title = Annotated[str, Reader(title)]
Secret = Annotated[str, Reader(secret)]
Bind = Annotated[Address, Reader(Address.parse)]
StreamBind = Annotated[Address | UnixAddress, Reader(stream_address)]
Networks = Annotated[tuple[str, ...], Reader(array(network))]
NetworksOrUnix = Annotated[tuple[str, ...], Reader(array(network_or_unix))]
HeaderName = Annotated[str, Reader(header_name)]
HeaderNameOrNone = Annotated[str | None, Reader(header_name)]
ExternalIp = Annotated[IPv4Address | IPv6Address | None, Reader(external_ip)]
Seconds = Annotated[int, Reader(whole(1, I32_MAX, "seconds"))]
SecondsOrOff = Annotated[int, Reader(whole(0, I32_MAX, "seconds"))]

"""Options that several commands have: the configuration, the log, an info hash."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tracker.store.address_keys import Keyring

SECRET = {"key", "keys", "token"}
"""Arguments whose values no error repeats."""


def add_config(parser: argparse.ArgumentParser, default: str | None = argparse.SUPPRESS) -> None:
    """Adds `--config`. Only the outermost parser may have a default.

    A default of an inner parser would replace a value given before the command's name.
    """
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=default,
        help="configuration file (default: ./tracker.toml, or what the environment says)",
    )


def add_log(parser: argparse.ArgumentParser) -> None:
    """Adds `--log` and `--secrets`, which `log_and_keys` and `log_and_secrets` read."""
    parser.add_argument(
        "--log", metavar="FOLDER", type=Path, help="the log, instead of the configured one"
    )
    parser.add_argument(
        "--secrets", metavar="FOLDER", type=Path,
        help="the folder with the keys to the addresses; with --log alone they are shown as null",
    )  # fmt: skip


def log_and_keys(options: argparse.Namespace) -> tuple[Path, Keyring | None]:
    """Returns the folder of the log and the keys to its addresses; None = addresses stay hidden."""
    from tracker.store.address_keys import Keyring

    path, secrets = log_and_secrets(options)
    return path, Keyring(secrets) if secrets else None


def log_and_secrets(options: argparse.Namespace) -> tuple[Path, Path | None]:
    """Returns the folders of the log and of its secrets; the latter is None for `--log` alone."""
    from tracker.config import load

    path: Path | None = options.log
    secrets: Path | None = options.secrets
    if path is None:
        config = load(options.config).config.event_log
        path, secrets = Path(config.path), secrets or Path(config.secrets_path)
    return path, secrets


def add_many(
    parser: argparse.ArgumentParser, dest: str, metavar: str, kind: Callable[[str], Any], about: str
) -> None:
    """Adds an argument of one or more values, each made by `kind`.

    `-` stands for the lines of standard input, and `@FILE` for those of a file; blank lines are
    passed over. All are checked before the command begins.
    """
    parser.add_argument(
        dest, metavar=metavar, nargs="+", action=_ManyAction, const=kind,
        help=f"{about}; - reads them from standard input, @FILE from a file, one a line",
    )  # fmt: skip


class _ManyAction(argparse.Action):
    """Stores a list of values that are given, or stand in files."""

    def __call__(
        self, _parser: object, options: argparse.Namespace, values: Any, _option: object = None
    ) -> None:
        setattr(options, self.dest, [self._made(*each) for each in self._given(values)])

    def _given(self, values: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yields each value with the place where it stands; "" = among the arguments."""
        for value in values:
            if value != "-" and not value.startswith("@"):
                yield "", value
                continue
            name = "standard input" if value == "-" else value[1:]
            try:
                text = sys.stdin.read() if value == "-" else Path(name).read_text(encoding="utf-8")
            except (OSError, UnicodeError) as error:
                why = (isinstance(error, OSError) and error.strerror) or "it is no text in UTF-8"
                raise argparse.ArgumentError(self, f"cannot read {name}: {why}") from None
            for number, line in enumerate(text.splitlines(), 1):
                if line.strip():
                    yield f"{name}, line {number}: ", line.strip()

    def _made(self, place: str, value: str) -> Any:
        try:
            return self.const(value)
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, f"{place}{wrong(self.dest, value, error)}") from None


def wrong(dest: str, value: str, error: Exception) -> str:
    """Says what is wrong with the value of an argument, and names the value unless it is secret."""
    text = str(error)
    return text if dest in SECRET or repr(value) in text else f"{value!r}: {text}"


def address(text: str) -> str:
    """An argument's type: an IPv4 or IPv6 address, as the log shows it."""
    from tracker.forwarding import host_address

    try:
        return str(host_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError("expected an IPv4 or IPv6 address") from None


def number(text: str) -> int:
    """An argument's type: a whole number of up to 18 digits."""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError("expected a number")
    return int(text)


def info_hash(text: str) -> str:
    """An argument's type: 40 hexadecimal digits, returned in lower case."""
    if not re.fullmatch(r"[0-9A-Fa-f]{40}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected 40 hexadecimal digits")
    return text.lower()

"""Options that several commands have: the configuration, the log, an info hash."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracker.store.address_keys import Keyring


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


def info_hash(text: str) -> str:
    """An argument's type: 40 hexadecimal digits, returned in lower case."""
    if not re.fullmatch(r"[0-9A-Fa-f]{40}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected 40 hexadecimal digits")
    return text.lower()

"""What the ports raise: why a command was not done, and why a question has no answer."""

from __future__ import annotations


class CommandError(Exception):
    """A command was not done. Nothing was appended to the log, but for `LogUnavailableError`."""


class UnknownKeyError(CommandError):
    """The tracker key, or `key_ref`, was never issued; a key may also be revoked already."""


class RevokedKeyError(CommandError):
    """The key of that `key_ref` is revoked already, or the one that an idempotency key stands for."""


class DuplicateKeyError(CommandError):
    """The tracker key to add exists already."""


class InvalidDurationError(CommandError):
    """A key's validity would end after the last representable date."""


class RepeatedRequestError(CommandError):
    """An idempotency key came again with another request."""


class InvalidFactorError(CommandError):
    """A credit factor cannot be as it was asked for; the text says why."""


class UnknownFactorError(CommandError):
    """No credit factor was ever set under this number."""


class UnknownAccountError(CommandError):
    """No key was ever issued to this account."""


class InvalidCorrectionError(CommandError):
    """A correction cannot be as it was asked for; the text says why."""


class LogUnavailableError(CommandError):
    """The log cannot take the event now; whether an earlier attempt was kept is unknown."""


TAKES_NOTHING_IN = "the log takes nothing in now: its disk is full, or cannot be written"
"""What `LogUnavailableError` does not say; clients of the API are told less."""


class BusyError(Exception):
    """What was asked for takes long, and too many are asking for it; the text says what to do."""


class NoMomentError(Exception):
    """The log does not hold that moment; the text says which ones it holds."""

    @property
    def detail(self) -> str:
        """The text for the command line, which names the moment and what the log holds."""
        return str(self)


class PrunedMomentError(NoMomentError):
    """That moment is before the first event that is kept."""

    def __init__(self, first_seq: int, detail: str = "") -> None:
        super().__init__(first_seq, detail)
        self.first_seq = first_seq
        self._detail = detail

    @property
    def detail(self) -> str:
        return self._detail or str(self)

    def __str__(self) -> str:
        return f"the log begins with event {self.first_seq}: what was before is not kept"

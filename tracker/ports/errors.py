"""The errors that the ports raise: why a command was not done, and why a question has no answer."""

from __future__ import annotations


class CommandError(Exception):
    """A command was not done. Except for `LogUnavailableError`, the log is as it was."""


class UnknownKeyError(CommandError):
    """No such tracker key or `key_ref` was ever issued, or the key is revoked already."""


class RevokedKeyError(CommandError):
    """The key is revoked already: that of the `key_ref`, or of the idempotency key."""


class DuplicateKeyError(CommandError):
    """The tracker key to add exists already."""


class InvalidDurationError(CommandError):
    """A key's validity would end after the last representable date."""


class RepeatedRequestError(CommandError):
    """An idempotency key came again with another request."""


class InvalidFactorError(CommandError):
    """A credit factor with these terms cannot be set; the text says why."""


class InvalidGroupError(CommandError):
    """The name of a group cannot be used; the text says why."""


class InvalidFreeleechError(CommandError):
    """A freeleech token cannot be given so; the text says why."""


class UnknownFreeleechError(CommandError):
    """There is no such freeleech token, or it is over."""


class UnknownFactorError(CommandError):
    """No credit factor was ever set under this number, or it is over."""


class UnknownAccountError(CommandError):
    """No key was ever issued to this account."""


class InvalidCorrectionError(CommandError):
    """A correction with these amounts cannot be made; the text says why."""


class InvalidNetworkError(ValueError):
    """The index of stays has no such networks; the text says which it has."""


class InvalidPartError(ValueError):
    """That part of the log cannot be re-run like that; the text says why."""


class InvalidJudgingError(CommandError):
    """Hit and run cannot be judged like that; the text says why."""


class InvalidMoveError(CommandError):
    """Accounts cannot be merged or split like that; the text says why."""


class InvalidCaseError(CommandError):
    """That cannot be said about a case; the text says why."""


class InvalidSettingError(CommandError):
    """Settings cannot be changed like that; the text says why."""


class InvalidSanctionError(CommandError):
    """That cannot be imposed; the text says why."""


class UnknownSanctionError(CommandError):
    """There is no such sanction to lift; the text says which."""


class InvalidTokenError(CommandError):
    """There cannot be such an access token; the text says why."""


class UnknownTokenError(CommandError):
    """No access token was ever issued under this number, or it is revoked already."""


class LogUnavailableError(CommandError):
    """The log cannot take the event now. Whether it kept an earlier attempt is unknown."""


class NotVouchedError(LogUnavailableError):
    """The event is in the log and in force, but the note that vouches for it cannot be written."""

    def __init__(self) -> None:
        super().__init__(NOT_VOUCHED)


NOT_VOUCHED = "the change is in the log and not yet vouched for, because the note among the tracker's secrets cannot be written"


TAKES_NOTHING_IN = "the log takes nothing in now: its disk is full, or cannot be written"
"""The cause of a `LogUnavailableError`, for people on the machine.

Clients of the API get a shorter text.
"""


class BusyError(Exception):
    """The answer takes long, or too many questions are open; the text says what to do."""


class UnreadableLogError(Exception):
    """The log cannot be read there, or is not as it was written; the text says why."""


class NoMomentError(Exception):
    """The log does not hold that moment; the text says which moments it holds."""

    @property
    def detail(self) -> str:
        """The text for the command line: it names the moment, and which moments the log holds."""
        return str(self)


class NoAnnounceError(NoMomentError):
    """That event is no announce; the text names its type."""


class PrunedMomentError(NoMomentError):
    """That moment is before the first event that the log still holds."""

    def __init__(self, first_seq: int, detail: str = "") -> None:
        super().__init__(first_seq, detail)
        self.first_seq = first_seq
        self._detail = detail

    @property
    def detail(self) -> str:
        return self._detail or str(self)

    def __str__(self) -> str:
        return f"the log begins with event {self.first_seq}: what was before is not kept"

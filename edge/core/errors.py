"""What may go wrong with a wire. Any other exception is a bug and stops the process.

Each error carries the `Reason` that its points get, so nobody has to guess it from a text.
"""

from edge.core.quality import Reason


class ConfigError(Exception):
    """The configuration cannot work; do not retry."""

    @property
    def lines(self) -> tuple[str, ...]:
        """What to tell; several lines only where the error is a list of findings."""
        return (str(self),)


class BusError(Exception):
    """The wire did not answer; retry with back-off."""

    def __init__(self, text: str, reason: Reason = Reason.SILENT) -> None:
        super().__init__(text)
        self.reason = reason


class AmbiguousAnswerError(BusError):
    """No answer that is surely that of this question: an older one could be taken for it.

    Another question, with an answer of another length, may be asked.
    """


class DataError(Exception):
    """The device answered, but the answer cannot be right (CRC, length) or is a refusal (busy)."""

    def __init__(self, text: str, reason: Reason = Reason.CRC) -> None:
        super().__init__(text)
        self.reason = reason


class TooLongError(DataError):
    """It does not tell so much at once; ask for less."""

    def __init__(self, text: str) -> None:
        super().__init__(text, Reason.FAULT)

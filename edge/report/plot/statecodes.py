"""What a loop's health is called, and how bad it is: the worst word of a stretch is drawn."""

from typing import Final, Literal

Grade = Literal["ok", "none", "warn", "fault"]

GRADES: Final[tuple[Grade, ...]] = ("ok", "none", "warn", "fault")  # from good to bad
GRADE_OF_STATE: Final[dict[str, Grade]] = {
    "ok": "ok",
    "unobserved": "none",
    "no_activity": "warn",
    "trail_unobserved": "warn",
    "trail_no_activity": "warn",
    "suspect": "warn",
}
FACTOR: Final = 1000  # words of one grade


class StateCodes:
    """Words as numbers of which the largest is the worst; for a table that joins by `high`."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self.words: dict[int, str] = {}

    def code(self, word: str) -> int:
        """An unknown word is a fault."""
        if word not in self._codes:
            grade = GRADES.index(GRADE_OF_STATE.get(word, "fault"))
            code = grade * FACTOR + min(len(self._codes), FACTOR - 1)
            self._codes[word] = code
            self.words[code] = word
        return self._codes[word]

    def grade(self, code: int) -> Grade:
        """How bad it is."""
        return GRADES[code // FACTOR]

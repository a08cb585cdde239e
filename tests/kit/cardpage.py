"""docs/card.md as those who follow it have it: who runs which commands where.

    block = CardPage().block(BOX, "kerbstone scan")

Each block of the page begins with a remark that names a person and a place. `followed` are the
blocks that somebody has asked for.
"""

import re
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs/card.md"
OPERATOR: Final = "operator, at the desk"
SERVER: Final = "operator, on the enrolment server"
CITY: Final = "operator, in the city"
DESK: Final = "technician, at a desk"
CABINET: Final = "technician, at the cabinet"
BOX: Final = "technician, on the box"
PLACES: Final = (OPERATOR, SERVER, CITY, DESK, CABINET, BOX)


class CardPage:
    def __init__(self) -> None:
        text = PAGE.read_text(encoding="utf-8")
        self.blocks: list[str] = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        self.steps = len(re.findall(r"^## \d", text, re.MULTILINE))
        self.followed: list[str] = []

    @property
    def commands(self) -> list[str]:
        """One for each line, where a line that goes on counts once."""
        lines = "".join(self.blocks).replace("\\\n", "").splitlines()
        return [line for line in lines if line and not line.startswith("#")]

    def block(self, place: str, word: str) -> str:
        """The one block for this person at this place that says this."""
        head = f"# {place}\n"
        found = [each for each in self.blocks if each.startswith(head) and word in each]
        assert len(found) == 1, f"{len(found)} blocks of the page are for {place} and say {word}"
        self.followed.append(found[0])
        return found[0]

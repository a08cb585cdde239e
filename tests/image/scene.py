"""A town, two people, a card and the guest that has it; what is right of the records that came."""

import time
from pathlib import Path
from typing import Any, Final

from tests.image.card import ImageCard
from tests.image.guest import Guest, ImageGuestError
from tests.image.people import TwoPeople
from tests.image.town import ImageTown, free_port

GATEWAY: Final = "gw-17"
TOPIC: Final = f"kerbstone/v1/s17/{GATEWAY}/up/energy/main_meter"


class ImageScene:
    """A town, two people, a card and the guest that has it; what was measured."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.folder = folder
        self.began = time.monotonic()
        self.town = ImageTown(folder / "town")
        self.boots = 0
        self.ssh_port = free_port()
        self.people = TwoPeople(self.town, image, folder / "people", self.ssh_port)
        self.card: ImageCard
        self.guest: Guest

    def power_on(self) -> None:
        folder, other = self.folder / f"boot-{self.boots + 1}", self.town.other_port
        names = self.town.names
        self.guest = Guest(self.card, folder, names=names, other=other, ssh=self.ssh_port)
        self.boots += 1

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.began:5.0f} s  {text}", flush=True)

    def records(self) -> list[dict[str, Any]]:
        """Those of our meter."""
        return [each for each in self.town.messages() if each.get("topic") == TOPIC]


def missing_none(records: list[dict[str, Any]]) -> int:
    """Records have numbers without a gap, from 1 in each epoch. How many there are."""
    held: dict[int, set[int]] = {}
    for each in records:
        held.setdefault(each["epoch"], set()).add(each["seq"])
    for epoch, numbers in held.items():
        wanted = set(range(1, max(numbers) + 1))
        check(numbers == wanted, f"records are missing in epoch {epoch}: {wanted - numbers}")
    return sum(map(len, held.values()))


def check(right: bool, what: str) -> None:
    if not right:
        raise ImageGuestError(what)

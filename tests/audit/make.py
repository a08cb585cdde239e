"""Makes the vectors: `python -m tests.audit.make`.

Each is a store's messages, and what an audit has to find in them, with the gateway's certificate
and without.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.core import Record, RecordKey, Stream
from edge.outbox.drops import DropRange
from tests.audit.tamper import (
    HALF_A_YEAR_US,
    hidden,
    iso_us,
    redated,
    replayed,
    resealed,
    said,
    without,
)
from tests.kit.clock import NONE, NTP
from tests.kit.scripted import E1, E2, E3, E4, NOON_US, S, ScriptedGateway, Sent, device_key, honest

FOLDER: Final = Path(__file__).parent / "vectors"
SIGN, PEM = device_key()


@dataclass(frozen=True)
class Vector:
    """`findings` are kinds; `keyed` those with the gateway's certificate, None: the same."""

    about: str
    messages: list[Sent]
    findings: set[str]
    keyed: set[str] | None = None
    unsigned_ok: bool = False

    def text(self) -> str:
        keyed = self.findings if self.keyed is None else self.keyed
        head = {
            "about": self.about, "findings": sorted(self.findings),
            "findings_with_keys": sorted(keyed), "unsigned_ok": self.unsigned_ok,
            "certificate": PEM,
        }  # fmt: skip
        lines = (json.dumps({"topic": m.topic, "payload": m.payload}) for m in self.messages)
        return f'{json.dumps(head)[:-1]}, "messages": [\n' + ",\n".join(lines) + "\n]}\n"


def before_and_after_a_new_card() -> tuple[ScriptedGateway, ScriptedGateway]:
    """Half a year later its boots are counted anew, and its first record goes out again, dated by a
    moment of boot 1 that is the old card's plus half a year."""
    old = ScriptedGateway(SIGN)
    old.start(E4)
    old.minutes(6)
    old.seal()
    new = ScriptedGateway(SIGN)
    new.began = HALF_A_YEAR_US // 1_000_000 - 1
    new.start(E1)
    new.minutes(3)
    new.seal()
    new.began += 1
    new.hand(_first(new))
    new.seal()
    new.seal()
    return old, new


def vectors() -> Iterator[tuple[str, Vector]]:
    for make in MAKERS:
        yield make.__name__, make()


def whole() -> Vector:
    return Vector("Three starts in two boots, nothing lost.", honest(SIGN).messages, set())


def declared() -> Vector:
    street = ScriptedGateway(SIGN)
    street.start(E1)
    street.minutes(2)
    street.lose(Stream.ENERGY)
    street.drop(E1, "energy", DropRange(3, 3, 1))
    street.minutes(2)
    street.seal()
    street.seal()
    return Vector("A number is lost, and an event says which.", street.messages, set())


def cut() -> Vector:
    keys = [(E1, "air", n) for n in range(2, 6)]
    return Vector(
        "Four records that were sealed are gone.", without(honest(SIGN), *keys), {"missing"}
    )


def cut_and_excused() -> Vector:
    """What a keeper adds to excuse it: the gateway is made to say that it lost its memory."""
    street = honest(SIGN)
    street.drop(E3, "*", DropRange(1, None, None))
    keys = [(E1, "air", n) for n in range(2, 6)]
    about = "Four sealed records are gone, and a `drop *` excuses all epochs up to the last one."
    return Vector(about, without(street, *keys), {"missing", "lost"})


def cut_and_hidden() -> Vector:
    about = (
        "Four sealed records are gone, and all manifests that could tell; events that nobody has"
    )
    return Vector(f"{about} sealed declare them.", hidden(honest(SIGN)), set(), {"unsealed"})


def replayed_manifests() -> Vector:
    about = "A record is another one; copies of an older manifest stand in the places of all that"
    return Vector(f"{about} could tell.", replayed(honest(SIGN)), {"replay"})


def half_a_year_later_by_a_new_cards_clock() -> Vector:
    old, new = before_and_after_a_new_card()
    about = "The old card's records are dated anew, as the new card dates its own boot 1."
    return Vector(about, [*redated(old.messages), *new.messages], {"open", "time"})


def cut_at_the_end() -> Vector:
    street = honest(SIGN)
    late = [each.key for each in street.messages if each.key[0] == E2 and each.key[1] != "event"]
    late = [key for key in late if key != (E2, "manifest", 1)]
    return Vector("Of an epoch only its first words are left.", without(street, *late), {"missing"})


def memory_lost() -> Vector:
    street = ScriptedGateway(SIGN)
    street.start(E1)
    street.minutes(3)
    street.seal()
    street.lose(Stream.AIR, 2)
    street.start(E2, former=None)
    street.drop(E1, "*", DropRange(1, None, None))
    street.minutes(3)
    street.seal()
    street.seal()
    return Vector(
        "The outbox was lost, and the gateway says so. How much is gone nobody knows; time, too.",
        street.messages, {"lost"},
    )  # fmt: skip


def wiped() -> Vector:
    street = ScriptedGateway(SIGN)
    street.start(E1)
    street.minutes(6)
    street.seal()
    street.lose(Stream.AIR, 40)
    street.start(E2, former=None)
    street.minutes(6)
    street.seal()
    street.seal()
    return Vector(
        "A new card, or a wiped one: 40 records were never sent, and nobody can say so.",
        street.messages, {"open"},
    )  # fmt: skip


def new_card_counts_anew() -> Vector:
    street = ScriptedGateway(SIGN)
    street.start(E4)
    street.minutes(3)
    street.seal()
    street.start(E1, former=E4)
    street.minutes(3)
    street.seal()
    street.start(E2, former=E1)
    street.minutes(3)
    street.seal()
    street.seal()
    return Vector("Epochs follow each other by what they say.", street.messages, set())


def new_card_and_a_cut() -> Vector:
    street = ScriptedGateway(SIGN)
    street.start(E4)
    street.minutes(3)
    street.seal()
    street.minutes(1)
    street.start(E1, former=E4)
    street.minutes(3)
    street.seal()
    street.seal()
    messages = without(street, (E4, "air", 4), (E4, "energy", 4))
    messages = [each for each in messages if each.payload.get("epoch_of") != E4]
    about = "What was not sealed of an epoch is known by its successor, whatever its number."
    return Vector(about, messages, {"missing"})


def older_copy() -> Vector:
    street = ScriptedGateway(SIGN)
    street.start(E1)
    street.minutes(3)
    street.seal()
    last, since = dict(street.counts), street.at
    street.start(E2, former=E1)
    street.minutes(3)
    street.seal()
    street.start(E3, former=E1, last=last, since=since)
    street.minutes(3)
    street.seal()
    street.seal()
    about = "An older copy of the card was put back: two starts followed the first."
    return Vector(about, street.messages, {"fork", "open"})


def set_back() -> Vector:
    street = ScriptedGateway(SIGN)
    street.start(E1)
    street.minutes(6)
    street.seal()
    last = {**street.counts, "air": 4, "energy": 4}
    street.start(E2, former=E1, last=last)
    street.minutes(3)
    street.seal()
    street.seal()
    return Vector(
        "A start knows less of the one before than has come.", street.messages, {"damage"}
    )


def circle() -> Vector:
    street = ScriptedGateway()
    street.start(E1, former=E2, last={})
    street.minutes(2)
    street.seal()
    street.start(E2, former=E1)
    street.minutes(2)
    street.seal()
    street.seal()
    about = "Two starts say each of the other that it came before."
    return Vector(about, street.messages, {"fork"}, {"fork", "unsigned", "nothing"})


def counted_twice() -> Vector:
    street = ScriptedGateway(SIGN)
    street.start(E1)
    street.minutes(3)
    street.register -= 1.0  # and the next record's growth is told from there on
    street.minutes(3)
    street.seal()
    street.seal()
    return Vector("A register goes on from an older state.", street.messages, {"register"})


def half_a_year_later() -> Vector:
    street = honest(SIGN)
    messages = redated(street.messages)
    return Vector("All records are dated anew; manifests are not.", messages, {"time", "nothing"})


def half_a_year_later_and_resealed() -> Vector:
    messages = resealed(redated(honest(SIGN).messages), dated=HALF_A_YEAR_US)
    about = "All is dated anew, clock maps too: only the missing signatures tell."
    return Vector(about, messages, set(), {"unsigned", "nothing"})


def corrected() -> Vector:
    """The first sending of a record without a clock; the second one with it is what has come."""
    street = _without_a_clock()
    record, by = _first(street), street.moment()
    street.messages = [each for each in street.messages if each.key != (E1, "air", 1)]
    street.hand(record, by)
    street.seal()
    street.seal()
    about = "A record is sent again with a better time, and a later manifest says by which."
    return Vector(about, street.messages, set())


def corrected_by_nobody() -> Vector:
    street = _without_a_clock()
    street.seal()
    start, end = (iso_us(NOON_US + us) for us in (0, 60_000_000))
    messages = said(street, (E1, "air", 1), **{"from": start, "to": end, "tq": "nts"})
    about = "A record claims a better time, and no manifest knows of it."
    return Vector(about, messages, {"time"})


def _without_a_clock() -> ScriptedGateway:
    street = ScriptedGateway(SIGN)
    street.tq = NONE
    street.start(E1)
    street.minutes(2)
    street.seal()
    street.tq = NTP
    street.minutes(2)
    street.seal()
    return street


def _first(street: ScriptedGateway) -> Record:
    body = {"covered_s": 60.0, "points": {}}
    return Record(RecordKey(E1, Stream.AIR, 1), "hut", street.boot, 0, 60 * S, body)


def changed() -> Vector:
    messages = said(honest(SIGN), (E1, "air", 2), covered_s=59.0)
    return Vector("One record is another one.", messages, {"digest"})


def changed_and_resealed() -> Vector:
    messages = resealed(said(honest(SIGN), (E1, "air", 2), covered_s=59.0))
    about = "One record is another one, and so are the manifests over it, without a signature."
    return Vector(about, messages, set(), {"unsigned"})


def unsigned() -> Vector:
    about = "A gateway that does not sign."
    return Vector(about, honest().messages, set(), {"unsigned", "nothing"})


def key_in_a_tpm() -> Vector:
    about = "The same; the operator knows that its key lies in a TPM."
    return Vector(about, honest().messages, set(), set(), unsigned_ok=True)


def another_key() -> Vector:
    sign, _ = device_key("gw-evil", 9)
    about = "Signed with another gateway's key."
    return Vector(about, honest(sign).messages, set(), {"signature", "nothing"})


def no_manifest() -> Vector:
    messages = [each for each in honest(SIGN).messages if each.key[1] != "manifest"]
    return Vector("Manifests are gone, all of them.", messages, {"nothing", "missing"})


def empty() -> Vector:
    return Vector("Nothing is complete.", [], {"nothing"})


MAKERS: Final[tuple[Callable[[], Vector], ...]] = (
    whole, declared, cut, cut_and_excused, cut_at_the_end, memory_lost, wiped,
    new_card_counts_anew, new_card_and_a_cut, older_copy, set_back, circle, counted_twice,
    half_a_year_later, half_a_year_later_and_resealed, corrected, corrected_by_nobody, changed,
    changed_and_resealed, cut_and_hidden, replayed_manifests,
    half_a_year_later_by_a_new_cards_clock, unsigned, key_in_a_tpm, another_key, no_manifest, empty,
)  # fmt: skip


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, vector in vectors():
        (FOLDER / f"{name}.json").write_text(vector.text(), "utf-8")


if __name__ == "__main__":
    main()

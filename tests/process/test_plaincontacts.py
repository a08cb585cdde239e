"""Plain contacts: an event for each change, once, whatever is killed in between."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edge.core.edge import Contact
from edge.core.record import Draft
from edge.process.engine import Engine, EngineSetup
from edge.process.enginesetup import ContactSetup
from edge.process.plaincontacts import FLICKER_CHANGES, FLICKER_NS, PlainContacts
from tests.kit.asread import as_read
from tests.kit.engine import S

DOOR = ContactSetup("cabinet", "door")


def reported(
    contacts: PlainContacts, *seen: tuple[float, bool], initial: bool = False
) -> list[str]:
    drafts = (
        contacts.take(Contact("cabinet", on, round(at * S), initial=initial)) for at, on in seen
    )
    return [f"{d.from_ns / S:g} {as_read(d)['state']}" for d in drafts if d is not None]


def test_each_change_is_told_at_its_moment() -> None:
    made = PlainContacts([DOOR])
    assert reported(made, (1, False), initial=True) == []
    assert reported(made, (5, True), (9.5, False), (9.6, False)) == ["5 on", "9.5 off"]


def test_how_it_is_found_is_told_when_it_matters() -> None:
    assert reported(PlainContacts([DOOR]), (1, True), initial=True) == ["1 on"]
    made = PlainContacts([DOOR])
    made.restore({"cabinet": [True, 77 * S, False, []]}, same_boot=False)
    assert reported(made, (1, True), initial=True) == []
    assert reported(made, (2, False), initial=True) == ["2 off"], (
        "it was shut while the box was off"
    )


def test_the_words_are_those_of_its_kind() -> None:
    made = PlainContacts([ContactSetup("charger", "plug")])
    draft = made.take(Contact("charger", True, S, lost=2))
    assert isinstance(draft, Draft)
    assert as_read(draft) == {
        "event": "plug", "state": "on", "text": "charger: the plug is in", "lost_edges": 2,
    }  # fmt: skip


def test_one_that_flickers_is_told_once_and_again_when_it_rests() -> None:
    made = PlainContacts([DOOR])
    many = [(1 + i / 10, i % 2 == 0) for i in range(200)]
    found = reported(made, *many)
    assert len(found) == FLICKER_CHANGES
    assert found[-1].endswith("flicker")
    later = many[-1][0] + FLICKER_NS / S + 1
    assert reported(made, (later, True)) == [f"{later:g} on"]


def test_one_that_flickered_is_told_as_it_rests_when_a_window_closes() -> None:
    made = Engine(EngineSetup(contacts=(DOOR,)))
    made.start(0)
    storm = [Contact("cabinet", i % 2 == 0, S + i * S // 10) for i in range(41)]  # ends open
    assert as_read(made.contacts(storm)[-1])["state"] == "flicker"
    last_ns = storm[-1].mono_ns
    assert made.close(last_ns + FLICKER_NS) == []
    (rests,) = made.close(last_ns + FLICKER_NS + S)
    assert (as_read(rests)["state"], rests.from_ns) == ("on", last_ns + FLICKER_NS + S)
    assert as_read(rests)["text"] == "cabinet: the door is open (it has settled)"
    assert made.close(last_ns + 9 * FLICKER_NS) == []
    (shut,) = made.contacts([Contact("cabinet", False, last_ns + 9 * FLICKER_NS)])
    assert as_read(shut)["state"] == "off"


def test_one_that_flickered_when_the_power_was_cut_is_told_as_it_rests() -> None:
    made = PlainContacts([DOOR])
    reported(made, *[(1 + i / 10, i % 2 == 0) for i in range(41)])
    again = PlainContacts([DOOR])
    again.restore(made.snapshot(), same_boot=False)
    assert reported(again, (3, True), initial=True) == []
    (rests,) = again.end_window(3 * S + FLICKER_NS + 1)
    assert as_read(rests)["state"] == "on"


@given(st.integers(0, 70), st.integers(0, 70), st.integers(1, 9))
def test_killed_in_a_storm_what_was_held_back_stays_so(kill: int, back: int, tenths: int) -> None:
    contacts = [Contact("cabinet", i % 2 == 0, (i + 1) * S * tenths // 10) for i in range(70)]
    plain = PlainContacts([DOOR])
    want = [plain.take(contact) for contact in contacts]
    made = PlainContacts([DOOR])
    found = [made.take(contact) for contact in contacts[:kill]]
    again = PlainContacts([DOOR])
    again.restore(made.snapshot(), same_boot=True)
    at = max(0, kill - back)
    found += [again.take(contact) for contact in contacts[at:]]
    assert [each for each in found if each] == [each for each in want if each]
    end_ns = contacts[-1].mono_ns + FLICKER_NS + 1
    assert again.end_window(end_ns) == plain.end_window(end_ns)


@given(
    st.lists(st.booleans(), min_size=1, max_size=15),
    st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=6),
)
def test_killed_anywhere_each_change_is_told_once(
    levels: list[bool], kills: list[tuple[int, int]]
) -> None:
    """What was told is kept with what tells it; the stage is read back from anywhere before."""
    contacts = [Contact("cabinet", on, (i + 1) * S) for i, on in enumerate(levels)]
    plain = Engine(EngineSetup(contacts=(DOOR,)))
    plain.start(0)
    want = plain.contacts(contacts)
    made, found, at = Engine(EngineSetup(contacts=(DOOR,))), [], 0
    made.start(0)
    kept: dict[str, Any] = {}
    for kill, back in [*sorted(kills), (len(levels), 0)]:
        kill = min(kill, len(levels))
        for contact in contacts[at:kill]:
            found += made.contacts([contact])
            kept = made.plain.snapshot()  # committed with it
        at = max(0, min(at, kill) - back)
        made = Engine(EngineSetup(contacts=(DOOR,)))
        made.start(0)
        made.plain.restore(kept, same_boot=True)
    for contact in contacts[at:]:
        found += made.contacts([contact])
    assert found == want

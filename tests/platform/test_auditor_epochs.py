"""The auditor joins epochs and boots: each tail is checked, and what never came is missed."""

from edge.core import Stream
from edge.wire import CHAIN_START
from tests.kit.records import E1, E2
from tests.platform.checked import E3, audit, gap, kinds, message, start


def test_a_later_epoch_has_to_be_there_from_its_first_number() -> None:
    later = [message(n, epoch=E2, at=(n * 60, n * 60 + 60)) for n in (2, 3)]
    reported = gap(1, 60, 120, epoch=E2, former={"epoch": E1, "last": {"air": 1}})
    assert kinds(message(1), reported, *later) == ["missing"]


def test_the_tail_of_the_former_epoch_is_checked() -> None:
    start = gap(1, 120, 180, epoch=E2, former={"epoch": E1, "last": {"air": 2}})
    new = message(1, epoch=E2, at=(180, 240))
    assert audit(message(1), message(2), start, new).clean
    assert kinds(message(1), start, new) == ["missing"]
    assert kinds(message(1), message(2), message(3), start, new)[0] == "damage"
    more = gap(1, 120, 180, epoch=E2, former={"epoch": E1, "last": {"air": 2, "energy": 4}})
    assert audit(message(1), message(2), more, new).clean, "before we came, perhaps"


def test_an_epoch_that_never_came_is_missed() -> None:
    third = (3 << 32) + 1
    start = gap(1, 60, 300, epoch=third, former={"epoch": E2, "last": {"air": 3}})
    found = kinds(message(1), start, message(1, epoch=third, at=(300, 360)))
    assert found == ["open", "missing"], "and what it said of the one before"


def test_boots_are_joined_by_a_gap_event() -> None:
    old, new = message(1), message(1, epoch=E2, boot=2, at=(5, 65))
    assert kinds(old, new) == ["open"]
    former = {"epoch": E1, "last": {"air": 1}}
    reported = gap(1, 0, 5, epoch=E2, boot=2, boot_before=1, reason="power", former=former)
    assert audit(old, reported, new).clean
    too_short = gap(1, 0, 3, epoch=E2, boot=2, boot_before=1, reason="power", former=former)
    assert kinds(old, too_short, new) == ["hole"]


def test_each_epoch_is_closed_by_the_next() -> None:
    first, third = message(1), message(1, epoch=E3, boot=3)
    second = message(1, epoch=E2, boot=2)
    reported = start(E2, E1, air=1), start(E3, E2, air=1, event=1)
    assert audit(first, second, third, *reported).clean
    assert kinds(first, second, third, reported[0], start(E3, None)) == ["open"]
    assert kinds(first, second, third, reported[1], start(E2, None)) == ["open"]
    assert kinds(first, second, third, reported[0], start(E3, E1, air=1)) == ["fork", "open"]
    assert kinds(first, second, third, start(E2, E3), start(E3, E2, air=1)) == ["fork", "open"]
    assert "fork" in kinds(first, second, third, start(E2, E2), reported[1])


def test_epochs_follow_what_they_say_and_not_their_numbers() -> None:
    """A box with a new card counts anew: its second start has a smaller number than its first."""
    low, high = 1 << 32, 9 << 32
    first = [message(1, epoch=high, boot=9), start(high, None)]
    second = [message(1, epoch=low, boot=1), start(low, high, air=1, event=1)]
    assert kinds(*first, *second) == ["hole"], "its gap event says boot 1 came before boot 1"
    leads = gap(
        1, 0, 0, epoch=low, boot=1, boot_before=9, former={"epoch": high, "last": {"air": 2}}
    )
    assert kinds(*first, second[0], leads) == ["missing"]


def test_where_we_come_too_late_to_hear_it_an_older_epoch_may_be_the_one_before() -> None:
    """Its backlog comes now."""
    live = message(7, epoch=E3, boot=3, at=(100, 160))
    assert audit(live, message(5, epoch=E2, boot=2)).clean
    early = message(5, boot=1)
    assert kinds(live, message(5, epoch=E2, boot=2), early) == ["open", "missing"]
    heard = kinds(live, message(5, epoch=E2, boot=2), start(E3, None))
    assert heard == ["open", "missing"], "that it followed none"


def test_the_former_epoch_of_a_manifest_is_held_against_what_came() -> None:
    reported = gap(1, 60, 180, epoch=E2)
    body = {
        "epoch_of": E2, "stream_of": "manifest", "first": 1, "last": 0, "count": 0, "seqs": [],
        "sha256": CHAIN_START.hex(), "clock": [], "former": {"epoch": E1, "last": {"air": 2}},
    }  # fmt: skip
    opening = message(
        1, stream=Stream.MANIFEST, source="manifest", epoch=E2, at=(180, 180), body=body
    )
    new = message(1, epoch=E2, at=(180, 240))
    assert kinds(message(1), reported, opening, new) == ["missing"]


def test_lost_epochs_between_two_are_no_hole_beside() -> None:
    third = (3 << 32) + 1
    reported = gap(1, 120, 300, epoch=third, former={"epoch": E2, "last": {"air": 1}})
    lost = gap(2, 300, 300, epoch=third)
    body = {
        "event": "drop", "epoch_of": E2, "stream_of": "air", "range": [1, 1], "count": 1,
    }  # fmt: skip
    dropped = message(3, stream=Stream.EVENT, epoch=third, at=(300, 300), body=body)
    new = message(1, epoch=third, at=(300, 360))
    assert kinds(message(1), reported, lost, dropped, new) == ["open"]

"""The way of a thing is found in what was noted of the calls that had it in hand."""

from typing import Any

from tests.architecture.hops import hops, lines
from tests.architecture.ways import Trace, return_visits

THING = 1
FORM = 2  # what is made of it


def call(number: int, place: str, parent: int | None, begin: int, end: int) -> dict[str, Any]:
    module, _, function = place.partition(":")
    return {
        "number": number, "module": module, "function": function, "parent": parent,
        "begin": begin, "end": end,
    }  # fmt: skip


def test_a_way_goes_through_calls_queues_and_what_was_made_of_the_thing() -> None:
    trace = Trace(
        {
            "calls": [
                call(1, "edge/bus:turn", None, 1, 20),
                call(2, "edge/wire:take", 1, 2, 3),
                call(3, "edge/queue:put", 1, 5, 9),
                call(4, "edge/log:write", 3, 6, 7),
                call(5, "edge/queue:drain", None, 30, 60),
                call(6, "edge/form:make", 5, 32, 35),
                call(7, "edge/end:send", 5, 40, 42),
            ],
            "touches": [
                (3, 2, "brought", THING, 0, ""),
                (5, 3, "given", THING, 0, ""),
                (6, 4, "given", THING, 0, ""),  # beside the way
                (8, 3, "kept", THING, 77, "_items"),
                (31, 5, "had", THING, 77, "_items"),
                (32, 6, "given", THING, 0, ""),
                (35, 6, "brought", FORM, 0, ""),
                (40, 7, "given", FORM, 0, ""),
            ],
        }
    )
    moves = trace.way(trace.touches[-1], (FORM, THING))
    assert list(lines(moves)) == [
        "1. bus:turn -> wire:take (fetches)",
        "2. bus:turn -> queue:put",
        "3. queue:drain -> form:make (asks)",
        "4. queue:drain -> end:send",
    ]
    assert len(moves) == 6  # and the stay in the queue, and the return of what was made
    assert len(hops(moves)) == 4


def test_a_call_of_another_thread_belongs_to_who_waits_for_it() -> None:
    trace = Trace(
        {
            "calls": [
                call(1, "edge/a:commit", None, 1, 90),
                call(2, "edge/b:work", None, 10, 20),
                call(3, "edge/c:insert", 2, 12, 14),
            ],
            "touches": [
                (1, 1, "given", THING, 0, ""),
                (10, 2, "given", THING, 0, ""),
                (12, 3, "given", THING, 0, ""),
            ],
        }
    )
    moves = trace.way(trace.touches[-1], (THING,))
    assert [move.kind for move in moves] == ["thread", "gives"]


def test_a_call_into_a_module_that_waits_for_it_is_a_return_visit() -> None:
    trace = Trace(
        {
            "calls": [
                call(1, "edge/a/one:commit", None, 1, 90),
                call(2, "edge/b/two:write", 1, 10, 80),
                call(3, "edge/a/other:asked", 2, 11, 12),  # the package waits
                call(4, "edge/b/three:attempt", 2, 20, 70),
                call(5, "edge/b/two:write.inner", 4, 21, 60),  # the module waits
                call(6, "edge/b/three:insert", 5, 22, 23),  # this one, too
                call(7, "edge/b/four:pack", 2, 75, 76),  # within its package: a call as any other
            ],
            "touches": [(1, 1, "given", THING, 0, ""), (22, 6, "given", THING, 0, "")],
        }
    )
    back = return_visits(trace, trace.touches[-1], THING)
    assert [str(move.target) for move in back] == [
        "edge/a/other:asked", "edge/b/two:write.inner", "edge/b/three:insert",
    ]  # fmt: skip

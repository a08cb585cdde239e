"""The image of a pipeline's memory: whoever takes it up says the same of what comes, bit for bit.

The street of the demo, with a jam; on it a loop that chatters, one that sticks, a door, and a meter
whose load jumps. Windows of 5 s end within slots, too.
"""

import gc
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import msgpack
import pytest

from edge.core import Contact, Draft, Sweep, sweep
from edge.demo.demostreet import DemoTrace, load_trace
from edge.gateway.memoryimage import ImageError, put_image, take_image
from edge.gateway.pipeline import Pipeline
from edge.gateway.wiring import Wiring
from edge.wire.contract.body import body_map
from tests.gateway.recordedstreet import demo_site
from tests.kit.engine import MS, S
from tests.long import one_in

PERIOD_S = 5
BEGIN_S, END_S = 1500, 2700  # of the trace: free, the jam from 1,860 on, free again
AFTER = 14  # windows that are compared, 70 s
STATES = tuple(range(7, (END_S - BEGIN_S) // PERIOD_S - AFTER, 5))


@cache
def wiring() -> Wiring:
    with tempfile.TemporaryDirectory() as folder:
        return Wiring.of(demo_site(Path(folder)))


@cache
def trace() -> DemoTrace:
    return load_trace()


def made() -> Pipeline:
    one = wiring().pipeline(hurry=False)
    one.load()
    return one


def contacts(from_s: int) -> list[Contact]:
    """Of one window, as the street gives them, with what is broken on it."""
    begin, end = from_s * S, (from_s + PERIOD_S) * S
    found = []
    for edge in trace().between(from_s, from_s + PERIOD_S):
        line = wiring().lined[edge.line]
        sticks = line.source == "north_2.trail" and 1700 * S < edge.mono_ns < 1850 * S
        if not (sticks and not edge.high):
            found.append(line.contact(edge))
    if 2100 <= from_s < 2160:  # contacts that stutter
        found += [
            Contact("north_1.lead", bool(n % 2), begin + n * 90 * MS) for n in range(2 * PERIOD_S)
        ]
    if from_s % 300 == 0:
        found += [Contact("door", True, begin + 1), Contact("door", False, end - 1)]
    return sorted(found, key=lambda each: each.mono_ns)


def swept(from_s: int) -> list[Sweep]:
    """The meter, once a second, and the air."""
    out = []
    points = wiring().points()
    for second in range(PERIOD_S):
        at_s = from_s + second
        load = 40.0 if at_s > 2200 else 8.0 + 0.5 * (at_s % 7)
        meter = [load * (1 + i) for i in range(len(points["cabinet"]))]
        air = [10.0 + (at_s % 11) for _ in points["hut_air"]]
        out += [sweep("cabinet", at_s * S, meter), sweep("hut_air", at_s * S + 1, air)]
    return out


def packed(drafts: Sequence[Draft]) -> list[bytes]:
    return [
        msgpack.packb([d.stream, d.source, d.from_ns, d.to_ns, body_map(d.body)]) for d in drafts
    ]


def window(one: Pipeline, number: int) -> list[bytes]:
    from_s = BEGIN_S + number * PERIOD_S
    drafts = one.engine.contacts(contacts(from_s))
    drafts += one.engine.sweeps(swept(from_s))
    return packed(drafts + one.engine.close((from_s + PERIOD_S) * S, wall_s=1.7e9 + from_s))


@pytest.fixture(scope="module")
def lived() -> tuple[list[list[bytes]], dict[int, bytes]]:
    """What one pipeline has said in all windows, and its states between them."""
    one = made()
    one.engine.start(BEGIN_S * S)
    said, states = list[list[bytes]](), dict[int, bytes]()
    for number in range((END_S - BEGIN_S) // PERIOD_S):
        if number in STATES:
            states[number] = msgpack.packb(take_image(one.engine))
        said.append(window(one, number))
    return said, states


def events(said: list[list[bytes]]) -> Iterator[str]:
    for drafts in said:
        for each in drafts:
            body = msgpack.unpackb(each)[4]
            if "event" in body:
                yield f"{body['event']} {body.get('state')}"


def test_the_street_of_this_test_has_all_that_may_be_up(
    lived: tuple[list[list[bytes]], dict[int, bytes]],
) -> None:
    told = set(events(lived[0]))
    assert told >= {"congestion on", "sensor_fault on", "sensor_fault off", "anomaly on", "door on"}


@one_in(4)
@pytest.mark.parametrize("number", STATES)
def test_a_restored_pipeline_says_the_same_bit_for_bit(
    lived: tuple[list[list[bytes]], dict[int, bytes]], number: int
) -> None:
    said, states = lived
    one = made()
    put_image(msgpack.unpackb(states[number]), one.engine)
    for later in range(number, number + AFTER):
        for here, there in zip(window(one, later), said[later], strict=True):
            assert here == there, (later, msgpack.unpackb(here), msgpack.unpackb(there))


def test_events_that_do_not_wait_are_known_to_who_asks_once() -> None:
    one = made()
    one.engine.start(0)
    told = one.engine.contacts([Contact("door", True, 1), Contact("door", False, 2)])
    assert len(told) == 2
    assert one.engine.plain.take_said() == told
    assert one.engine.plain.take_said() == []


def test_the_same_memory_has_the_same_image(
    lived: tuple[list[list[bytes]], dict[int, bytes]],
) -> None:
    state = lived[1][STATES[-1]]
    one = made()
    put_image(msgpack.unpackb(state), one.engine)
    assert msgpack.packb(take_image(one.engine)) == state
    assert len(zlib.compress(state, 1)) < 100_000, "a recording begins with one"


def deep(levels: int) -> object:
    image: object = ["u"]
    for _ in range(levels):
        image = ["t", [image]]
    return image


@pytest.mark.parametrize(
    "image",
    [
        ["o", "subprocess:Popen", ["args"], ["true"]],
        ["o", "edge.gateway.wiring:Wiring", [], []],
        ["o", "edge.infer.modelsession:Path", [], []],
        ["o", "edge.core.numbers:no_such", [], []],
        ["e", "edge.core.quality:Reason", "no such reason"],
        ["e", "edge.core.point:Point", "called"],
        ["n", "edge.infer.judge:Judge", ["called"]],
        ["q", 1 << 63, []],
        ["a", "(2,3", [1], b""],
        ["a", "O", [1], b"12345678"],
        ["l", None],
        ["r", 7],
        ["?"],
        {},
        deep(2000),
    ],
)
def test_a_file_can_make_nothing_but_objects_of_ours(image: object) -> None:
    with pytest.raises(ImageError):
        put_image(image, made().engine)


def test_what_is_new_in_a_class_keeps_its_first_value_and_what_is_gone_is_passed_over() -> None:
    one = made()
    kind, name, names, values = take_image(one.engine)
    place = names.index("unmatched_inputs")
    names[place], values[names.index("_slot")] = "former", 11
    two = made()
    two.engine.unmatched_inputs = 5
    put_image([kind, name, names, values], two.engine)
    assert two.engine._slot == 11
    assert two.engine.unmatched_inputs == 5


def test_an_object_that_two_hold_is_one_again() -> None:
    one = made()
    put_image(msgpack.unpackb(msgpack.packb(take_image(one.engine))), one.engine)
    sources = one.engine._sources
    assert sources.lines["north_1.lead"] is sources.lanes["north_1"]


def test_nobody_looks_for_garbage_among_what_an_image_is_made_of() -> None:
    """With 64 lanes the main loop stood for a quarter of a second, and mostly for that."""
    one, looked = made(), list[str]()
    image = take_image(one.engine)  # what is made once is there
    gc.callbacks.append(lambda phase, about: looked.append(phase))
    try:
        threshold = gc.get_threshold()
        gc.set_threshold(1)
        gc.disable()
        again = take_image(one.engine)
        assert not gc.isenabled(), "who has switched it off finds it so"
        gc.enable()
        looked.clear()
        gc.disable()
        gc.enable()
        take_image(one.engine)
        during = len(looked)
        assert gc.isenabled()
    finally:
        gc.callbacks.pop()
        gc.set_threshold(*threshold)
    assert again == image
    assert during < 10, during

"""What every driver promises. A new driver is picked up by its name; nothing to edit here."""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import pairwise
from typing import get_args

import pytest

import drivers
from drivers.meters.register_map import list_maps
from edge.core import (
    Bad,
    Bias,
    BusError,
    ContactLine,
    DataError,
    Edge,
    Polled,
    Quantity,
    Reason,
    Sample,
    UncertainValue,
)
from tests.drivers import bench
from tests.drivers.bench import Case
from tests.long import more, one_in, size

# Of a long conversation one injury in 61 is tried, in `make long` all. Either visits each bit of a
# byte in turn, and each kind of injury.
LONG = 128  # bytes
SOME = size(61, 1)

NAMES = drivers.names()
LINED = [name for name in NAMES if drivers.spec(name).wiring == "gpio"]
POLLED = [name for name in NAMES if name not in LINED]
CASES = [pytest.param(n, c, id=f"{n}: {c['name']}") for n in POLLED for c in bench.cases(n)]
ONE_FRAME = [n for n in POLLED if drivers.spec(n).wiring == "serial"
             and all("frames" in case for case in bench.cases(n))]  # fmt: skip
EDGES = [pytest.param(n, c, id=f"{n}: {c['name']}") for n in LINED for c in bench.cases(n)]


@pytest.fixture(autouse=True)
async def no_task_is_left_behind() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    assert asyncio.all_tasks() - {asyncio.current_task()} <= before


@pytest.mark.parametrize("name", NAMES)
def test_a_driver_has_a_trace(name: str) -> None:
    assert bench.trace(name)["case"], "record what the device says: tests/drivers/traces"


@pytest.mark.parametrize("name", NAMES)
def test_a_driver_names_its_source(name: str) -> None:
    chip = drivers.HERE / "chips" / f"{name}.py"
    if chip.exists():
        head = chip.read_text(encoding="utf-8").split('"""')[1]
    else:
        text = (drivers.HERE / "meters" / f"{name}.toml").read_text(encoding="utf-8")
        head = text.split("\n[")[0]
    assert re.search(r"Source: \S", head)


@pytest.mark.parametrize("name", POLLED)
def test_points_are_well_formed(name: str) -> None:
    device, _ = bench.build(name, {})
    keys = [point.key for point in device.points]
    assert keys
    assert len(keys) == len(set(keys))
    for point in device.points:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", point.key)
        assert isinstance(point.quantity, Quantity)
        assert point.low < point.high
        assert 0 < point.step < math.inf
        if math.isfinite(point.high - point.low):
            assert point.step <= point.high - point.low


@pytest.mark.parametrize("name", POLLED)
def test_building_a_driver_touches_no_bus(name: str) -> None:
    device = drivers.build(name, None, bench.options(name, {}))  # a bus would be missed
    assert device


@pytest.mark.parametrize(("name", "case"), CASES)
async def test_a_trace_gives_the_recorded_values(name: str, case: Case) -> None:
    device, _ = bench.build(name, case)
    await device.open()
    found = _by_key(device, await device.read())
    await device.close()
    assert case["expect"]
    wrong = {
        key: (found.get(key), want)
        for key, want in case["expect"].items()
        if key not in found or not bench.same(found[key], bench.sample(want))
    }
    assert not wrong


@pytest.mark.parametrize("name", POLLED)
def test_the_traces_of_a_driver_name_every_point(name: str) -> None:
    device, _ = bench.build(name, {})
    named = {key for case in bench.cases(name) for key in case["expect"]}
    assert named == {point.key for point in device.points}


@pytest.mark.parametrize(("name", "case"), CASES)
async def test_explain_agrees_with_read(name: str, case: Case) -> None:
    device, wire = bench.build(name, case)
    await device.open()
    read = _by_key(device, await device.read())
    await device.close()
    reported = drivers.explain(name, wire.frames())
    assert case["expect"].keys() <= reported.keys() <= read.keys()  # a recording may be of a part
    assert {k: bench.settled(s) for k, (s, _) in reported.items()} == {
        k: bench.settled(read[k]) for k in reported
    }
    units = {point.key: point.quantity.unit for point in device.points}
    assert {k: unit for k, (_, unit) in reported.items()} == {k: units[k] for k in reported}


@pytest.mark.parametrize("name", POLLED)
def test_explain_refuses_nonsense_as_a_data_error(name: str) -> None:
    frames = [[b""], [b"\x00"], [b"\xff" * 64], [b"\x02\x02"], [b"\x02\x02", b"\x00\x01\x00"]]
    for nonsense in frames:
        with pytest.raises(DataError):
            drivers.explain(name, nonsense)


@pytest.mark.parametrize("name", POLLED)
async def test_a_silent_bus_is_a_bus_error(name: str) -> None:
    device, _ = bench.build(name, {})
    with pytest.raises(BusError):
        await _open_and_read(device)
    await device.close()
    await device.close()


@pytest.mark.parametrize(("name", "case"), CASES)
async def test_closing_twice_or_unopened_is_safe_and_opening_again_works(
    name: str, case: Case
) -> None:
    device, _ = bench.build(name, case)
    await device.close()
    first = await _open_and_read(device)
    await device.close()
    await device.close()
    assert await _open_and_read(device) == first
    await device.open()
    assert await device.read() == first
    await device.close()


@pytest.mark.parametrize(("name", "case"), CASES)
async def test_a_device_that_falls_silent_is_closed_in_peace_and_comes_back(
    name: str, case: Case
) -> None:
    device, wire = bench.build(name, case)
    first = await _open_and_read(device)
    wire.dead = True
    await device.close()  # before anybody knows
    wire.dead = False
    assert await _open_and_read(device) == first
    wire.dead = True
    with pytest.raises(BusError):
        await device.read()
    await device.close()
    with pytest.raises(BusError):
        await _open_and_read(device)
    wire.dead = False
    assert await _open_and_read(device) == first


@pytest.mark.parametrize(("name", "case"), CASES)
async def test_two_reads_agree(name: str, case: Case) -> None:
    device, _ = bench.build(name, case)
    await device.open()
    seen = [await device.read() for _ in range(3)]
    assert all(a == b for a, b in pairwise(seen))


@one_in(2)
@more
@pytest.mark.parametrize(("name", "case"), CASES)
async def test_a_frame_that_is_cut_at_any_byte_is_one_clear_word_and_no_number(
    name: str, case: Case
) -> None:
    """By `explain`, and when it comes so from the wire."""
    device, wire = bench.build(name, case)
    clean = await _open_and_read(device)
    frames, talks = wire.frames(), name in ONE_FRAME
    said = [at for at, frame in enumerate(frames) if frame in wire.replies or talks]
    place = max(said or range(1, len(frames), 2), key=lambda at: len(frames[at]))
    start = place if talks else 0
    before = _numbers(name, frames[start:place]) | _numbers(name, frames[start : place - 1])
    for upto in range(len(frames[place])):
        try:
            reported = drivers.explain(name, [*frames[start:place], frames[place][:upto]])
        except DataError as error:
            _is_clear(error)
            continue
        found = {key: s for key, (s, _) in reported.items() if not isinstance(s, Bad)}
        assert found.items() <= before.items(), upto
    longest = max(range(len(wire.replies)), key=lambda at: len(wire.replies[at]))
    whole = wire.replies[longest]
    for upto in range(0, len(whole), size(_step([whole]), 1)):
        device, wire = bench.build(name, case)
        if name in ONE_FRAME:
            wire.replies[:] = wire.replies[longest : longest + 1]
        wire.replies[longest if len(wire.replies) > 1 else 0] = whole[:upto]
        try:
            samples = await _open_and_read(device)
        except (BusError, DataError) as error:
            _is_clear(error)
            continue
        finally:
            await device.close()
        assert name not in ONE_FRAME
        differing = [s for s, good in zip(samples, clean, strict=True) if s != good]
        assert all(isinstance(s, Bad) for s in differing), upto


@one_in(2)
@more
@pytest.mark.parametrize(("name", "case"), CASES)
async def test_a_damaged_reply_never_becomes_a_wild_value(name: str, case: Case) -> None:
    device, wire = bench.build(name, case)
    await device.open()
    step = _step(wire.replies)
    for place, good in enumerate(list(wire.replies)):
        for damaged in _damaged(good, step):
            wire.replies[place] = damaged
            try:
                found = await device.read()
            except (DataError, BusError):
                continue
            for point, sample in zip(device.points, found, strict=True):
                value = sample.value if isinstance(sample, UncertainValue) else sample
                assert isinstance(value, Bad) or point.low <= value <= point.high  # type: ignore[operator]
        wire.replies[place] = good


@one_in(2)
@more
@pytest.mark.parametrize(
    ("name", "case"), [p for p in CASES if bench.trace(str(p.values[0])).get("checked")]
)
async def test_every_flipped_bit_is_noticed(name: str, case: Case) -> None:
    clean_device, clean_wire = bench.build(name, case)
    clean = await _open_and_read(clean_device)
    if drivers.spec(name).wiring == "modbus":
        return _every_flip_is_explained_away(name, clean_wire.frames())
    if Bad(Reason.CRC) in clean:
        return None  # a second flipped bit may put right what the first did wrong
    step = _step(clean_wire.replies)
    for place in sorted(set(clean_wire.used)):
        for bit in range(0, 8 * len(clean_wire.replies[place]), step):
            if place < len(clean_wire.replies) - 1 and drivers.spec(name).wiring == "serial":
                continue  # a newer frame came after it: it is not looked at, and rightly so
            device, wire = bench.build(name, case)
            wire.replies[place] = _flipped(wire.replies[place], bit)
            try:
                found = await _open_and_read(device)
            except (DataError, BusError):
                continue
            differing = [f for f, c in zip(found, clean, strict=True) if f != c]
            noticed = differing or any(isinstance(sample, Bad) for sample in clean)
            assert noticed, f"reply {place}, bit {bit}"
            assert all(isinstance(sample, Bad) for sample in differing), f"reply {place}, bit {bit}"
    return None


@pytest.mark.parametrize("name", LINED)
def test_lines_are_well_formed(name: str) -> None:
    device = bench.build_lined(name, {})
    assert device.lines
    for line in device.lines:
        assert line.line
        assert line.bias in get_args(Bias)
        assert 0 <= line.debounce_s < 1


@pytest.mark.parametrize(("name", "case"), EDGES)
def test_edges_become_the_recorded_contacts(name: str, case: Case) -> None:
    device = bench.build_lined(name, case)
    line = device.lines[0].line
    found = []
    for high, mono_ns, seqno, lost in case["edges"]:
        meant = ContactLine("somewhere", device.active == "high")
        contact = meant.contact(Edge(line, high, mono_ns, seqno, lost))
        assert contact.source == "somewhere"
        found.append([contact.on, contact.mono_ns, contact.lost, contact.initial])
    assert found
    assert found == case["contacts"]


@pytest.mark.parametrize("name", [n for n in POLLED if n not in list_maps()])
def test_a_frame_may_be_explained_without_opening_anything(name: str) -> None:
    assert callable(drivers.chip(name).explain)


def _every_flip_is_explained_away(name: str, frames: list[bytes]) -> None:
    """The bus of a meter checks whole frames; what the driver gets from it carries no checksum."""
    step = _step(frames[1::2])
    for request, answer in zip(frames[::2], frames[1::2], strict=True):
        for bit in range(0, 8 * len(answer), step):
            with pytest.raises(DataError):
                drivers.explain(name, [request, _flipped(answer, bit)])


async def _open_and_read(device: Polled) -> tuple[Sample, ...]:
    await device.open()
    return await device.read()


def _numbers(name: str, frames: list[bytes]) -> dict[str, Sample]:
    try:
        reported = drivers.explain(name, frames)
    except DataError:
        return {}
    return {key: sample for key, (sample, _) in reported.items() if not isinstance(sample, Bad)}


def _is_clear(error: BusError | DataError) -> None:
    assert isinstance(error.reason, Reason)
    assert len(str(error)) > 9


def _by_key(device: Polled, samples: tuple[Sample, ...]) -> dict[str, Sample]:
    assert isinstance(samples, tuple)
    for sample in samples:
        value = sample.value if isinstance(sample, UncertainValue) else sample
        assert isinstance(value, Bad | float | int)
        assert not isinstance(value, float) or math.isfinite(value)
    return {p.key: sample for p, sample in zip(device.points, samples, strict=True)}


def _step(replies: Sequence[bytes]) -> int:
    return 1 if sum(map(len, replies)) < LONG else SOME


def _damaged(good: bytes, step: int) -> Iterator[bytes]:
    """Cut off anywhere, with nothing or with an idle wire behind; and bits turned round."""
    whole = len(good)
    for k in range(0, 3 * whole, step):
        cut = good[: k // 3]
        yield (cut, cut.ljust(whole, b"\xff"), cut.ljust(whole, b"\x00"))[k % 3]
    for k in range(0, 4 * whole, step):
        at, bit = k // 4, (1, 16, 64, 128)[k % 4]
        yield good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :]
    yield good + good


def _flipped(good: bytes, bit: int) -> bytes:
    at = bit // 8
    return good[:at] + bytes([good[at] ^ 0x80 >> bit % 8]) + good[at + 1 :]

"""The Canoga card: vehicles counted through resets, gaps and what its checksum lets pass."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips import _canoga as wire
from drivers.chips._canoga import (
    Detection,
    DetectionStep,
    card_request,
    detection_step,
    detections,
    text,
)
from drivers.chips.canoga import Canoga, Channel, explain
from drivers.sim.canoga import Canoga as Card
from edge.core import (
    Bad,
    BusError,
    Condition,
    ConfigError,
    DataError,
    Reason,
    Sample,
    SelfReporting,
    Stateful,
    UncertainValue,
)
from tests.drivers.serialsim import SimSerial
from tests.kit.air import Now
from tests.kit.vectors import frame, vector


class CanogaRig:
    """A card with a vehicle now and then, and the driver that asks it."""

    def __init__(self, **options: int) -> None:
        self.now = Now()
        self.card = Card({}, clock=self.now)
        self.line = SimSerial(self.card, self.now)
        self.device = Canoga(self.line, **options)

    def car(self, on_ms: int = 400, channel: int = 1, after_s: float = 2.0) -> None:
        self.now.s += after_s
        self.card.passes(channel, self.ms() - on_ms, on_ms)

    def ms(self) -> int:
        return round((self.now.s - self.card.reset_at) * 1000)

    async def reported(self, channel: int = 1) -> tuple[Sample, Sample]:
        self.now.s += 0.25
        found = await self.device.read()
        at = 3 * (channel - 1)
        return found[at], found[at + 1]


def test_requests_and_answers_are_those_of_others() -> None:
    assert frame("canoga-req-events-0") == card_request(0, wire.EVENTS)
    assert frame("canoga-req-events-128") == card_request(128, wire.EVENTS)
    assert frame("canoga-req-serial-128") == card_request(128, wire.SERIAL)
    for address in (0, 128):
        assert frame(f"canoga-req-version-{address}") == card_request(address, b"B")
    want = vector("canoga-events-own")["decoded"]["channels"]
    assert [
        [each["duration_ms"], each["start_ms_since_reset"], each["count_mod_256"], each["state"]]
        for each in want
    ] == [
        [each.duration_ms, each.start_ms, each.count, each.state]
        for each in detections(frame("canoga-events-own"))
    ]
    reported = explain([card_request(0, wire.EVENTS), frame("canoga-events-own")])
    assert [reported[f"ch{n}_volume"] for n in (1, 2, 3, 4)] == [17, 0, 17, 0]


@given(st.binary(max_size=60))
def test_rubbish_is_a_data_error_or_four_channels(data: bytes) -> None:
    try:
        assert len(detections(data)) == 4
    except DataError:
        assert len(data) != 37 or wire.checksum(data)
    for taken in (
        lambda one: text(one, wire.SERIAL),
        lambda one: explain([one, card_request(0, b"*")]),
    ):
        if len(data) != 37:
            with pytest.raises(DataError):
                taken(data)


@given(st.binary(max_size=200), st.integers(1, 30))
def test_a_serial_number_is_found_behind_anything(rubbish: bytes, chunk: int) -> None:
    good = Card({}, address=7)._reply(wire.SERIAL)
    cut, buffer, found = wire.text_framer(wire.SERIAL, 7), b"", b""
    stream = rubbish + b"\0" * wire.LONGEST + good  # half a frame may wait for so much more
    for at in range(0, len(stream), chunk):
        buffer += stream[at : at + chunk]
        while True:
            one, done = cut(buffer)
            assert 0 <= done <= len(buffer)
            found, buffer = one or found, buffer[done:]
            if not done:
                break
        assert len(buffer) <= wire.LONGEST
    assert text(found, wire.SERIAL, 7) == "C924-0012345"


def test_an_address_that_no_card_has_is_a_config_error() -> None:
    for address in (16, 127, -1, 256):
        with pytest.raises(ConfigError):
            Canoga(SimSerial(Card({}), Now()), address=address)


async def test_vehicles_and_their_time_are_counted() -> None:
    road = CanogaRig()
    assert isinstance(road.device, SelfReporting)
    await road.device.open()
    assert road.device.identity == "C924-0012345"
    assert await road.reported() == (0, 0)
    road.car(400)
    assert await road.reported() == (1, 0.4)
    road.car(600)
    assert await road.reported() == (2, 1.0)
    assert await road.reported() == (2, 1.0)
    road.car(300)
    road.car(350)  # of two between two answers, the time of one is not known
    assert await road.reported() == (4, UncertainValue(1.35, Reason.PARTIAL))
    assert await road.reported() == (4, 1.35)
    assert await road.reported(channel=3) == (0, 0)


async def test_its_count_and_its_clock_begin_anew_and_nothing_is_lost() -> None:
    road = CanogaRig()
    road.card.reset_at = road.now.s - (wire.CLOCK_MS / 1000 - 200)  # 200 s before it starts again
    road.car()
    assert (await road.reported())[0] == 1
    for passed in range(2, 301):
        road.car()
        assert (await road.reported())[0] == passed
    assert road.ms() > wire.CLOCK_MS


async def test_what_came_while_nobody_asked_is_counted_unless_it_can_be_too_many() -> None:
    road = CanogaRig()
    road.car()
    await road.reported()
    road.card.fault = "silent"
    with pytest.raises(BusError):
        await road.reported()
    road.card.fault = ""
    for _ in range(20):
        road.car(after_s=5)
    assert (await road.reported())[0] == 21
    road.card.fault = "silent"
    with pytest.raises(BusError):
        await road.reported()
    road.card.fault = ""
    road.car(after_s=250)
    assert (await road.reported())[0] == UncertainValue(22, Reason.PARTIAL), (
        "256 more would look the same"
    )
    assert (await road.reported())[0] == 22


async def test_a_reset_is_not_believed_at_once_and_costs_no_count() -> None:
    road = CanogaRig()
    await road.reported()
    for _ in range(5):
        road.car()
        await road.reported()
    road.card.reset()
    assert await road.reported() == (Bad(Reason.CRC), Bad(Reason.CRC))
    assert (await road.reported())[0] == UncertainValue(5, Reason.PARTIAL)
    assert (await road.reported())[0] == 5
    road.car()
    assert await road.reported() == (6, 2.4)


async def test_a_first_byte_that_was_lost_is_noticed_though_the_checksum_is_right() -> None:
    road = CanogaRig()
    await road.reported()
    for _ in range(3):
        road.car(on_ms=1000)
        await road.reported()
    good = await road.reported()
    road.card.faults.append("first_byte")
    assert await road.reported() == (Bad(Reason.CRC), Bad(Reason.CRC))
    assert await road.reported() == good == (3, 3.0)


async def test_each_fault_of_the_line_is_seen_and_it_recovers() -> None:
    road = CanogaRig()
    road.car()
    good = await road.reported()
    road.card.late_s = 0.4
    for fault in ("silent", "late", "sum", "half", "garbage"):
        road.card.faults.append(fault)
        with pytest.raises(BusError if fault in ("silent", "late") else DataError):
            await road.reported()
        road.now.s += 0.5
        assert await road.reported() == good, fault


async def test_a_loop_whose_state_says_so_is_a_fault() -> None:
    road = CanogaRig(fault_mask=0x80)
    road.car(channel=2)
    assert await road.reported(2) == (1, 0.0)
    road.card.channels[1] = replace(road.card.channels[1], state=0x81)
    found = await road.device.read()
    assert found[3:6] == (1, Bad(Reason.FAULT), 0x81)
    assert "channel 2" in road.device.health[Condition.LOOP]
    road.card.channels[1] = replace(road.card.channels[1], state=0x01)
    assert await road.reported(2) == (1, 0.0)
    assert road.device.health == {}


async def test_cards_on_one_line_answer_to_their_addresses() -> None:
    now = Now()
    card = Card({"ch1_volume": 9}, clock=now, address=3)
    line = SimSerial(card, now)
    assert (await Canoga(line, address=3).read())[0] == 9
    assert (await Canoga(line).read())[0] == 9
    with pytest.raises(BusError):
        await Canoga(line, address=4).read()


async def test_totals_survive_a_restart() -> None:
    road = CanogaRig()
    assert isinstance(road.device, Stateful)
    await road.reported()
    for _ in range(300):
        road.car()
        await road.reported()
    kept = road.device.snapshot()
    assert len(kept) < 4096
    road.car()
    again = Canoga(road.line)
    again.restore(kept, 30)
    assert (await again.read())[:2] == (301, 120.4)
    late = Canoga(road.line)
    late.restore(kept, 13 * 3600)  # nobody knows how often its count went round
    assert (await late.read())[0] == UncertainValue(300, Reason.PARTIAL)
    road.car()
    assert (await late.read())[0] == 301
    for damaged in (b"", kept[:-1], b"\x07" + kept[1:]):
        fresh = Canoga(road.line)
        fresh.restore(damaged, 30)
        assert (await fresh.read())[0] == 302 % 256


detection = st.builds(
    Detection, st.integers(0, 2**24 - 1), st.integers(0, 2**32 - 1), st.integers(0, 255),
    st.integers(0, 255),
)  # fmt: skip


@given(st.lists(detection, max_size=30))
def test_whatever_a_card_says_totals_never_go_back(history: list[Detection]) -> None:
    channel, before = Channel(), (0, 0.0)
    for now in history:
        volume, on_time = channel.take(now, sure=True)
        after = (channel.volume, channel.on_ms / 1000)
        assert after[0] - before[0] in range(257)
        assert 0 <= after[1] - before[1] <= 2**24 / 1000
        for sample, total in ((volume, after[0]), (on_time, after[1])):
            assert isinstance(sample, Bad) or sample in (
                total,
                UncertainValue(total, Reason.PARTIAL),
            )
        before = after


@given(detection, st.integers(100, 10_000), st.integers(1, 3_600_000))
def test_a_vehicle_later_is_the_next_one(before: Detection, on_ms: int, free_ms: int) -> None:
    start = (before.start_ms + before.duration_ms + free_ms) % wire.CLOCK_MS
    now = Detection(on_ms, start, (before.count + 1) % 256, 0)
    shifted = before.duration_ms and on_ms >> 8 == before.duration_ms & 0xFFFF
    assert detection_step(before, now) is (DetectionStep.ODD if shifted else DetectionStep.NEXT)
    assert detection_step(now, replace(now, state=1)) is DetectionStep.SAME

"""The simulated SML meter on its pseudo-terminal, and smllib as a peer of both."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.buses.serial_port import SerialPort
from drivers.chips import _sml as wire
from drivers.chips.sml import Sml as Driver
from drivers.chips.sml import explain
from drivers.sim.sml import FAULTS, ROWS, Sml, crc, encode_frame
from edge.core import Bad, DataError, Reason, Sample
from tests.long import examples

FAST = 115200
VALUES = {
    "energy_import": 1234.5678,
    "energy_import_t1": 1000.0,
    "energy_export": 0.0005,
    "power": -613.25,
    "power_l3": 4.0,
    "voltage_l1": 230.1,
    "current_l2": 3.1,
    "frequency": 50.1,
    "phase_angle_l1": -62.0,
}
Check = Literal["x25", "kermit"]


def by_peer(frame: bytes, check: Check = "x25") -> list[Any]:
    """The values that the peer finds in a frame, in their order."""
    reader = pytest.importorskip("smllib").SmlStreamReader(crc=check)
    reader.add(b"\x00\x1b" + frame)
    found = reader.get_frame()
    assert found is not None
    bodies = [message.message_body for message in found.parse_frame()]
    return [entry for body in bodies for entry in getattr(body, "val_list", [])]


def kwh(entry: Any) -> float:
    """Energy as the peer tells it."""
    assert entry.unit == 30
    return float(entry.value * 10.0 ** ((entry.scaler or 0) - 3))


def reported(samples: tuple[Sample, ...]) -> dict[str, Sample]:
    found = zip([p.key for p in Driver.points], samples, strict=True)
    return {key: sample for key, sample in found if sample != Bad(Reason.ADDRESS)}


@pytest.fixture
def meter() -> Iterator[Sml]:
    made = Sml(VALUES)
    made.silent = True  # it talks when a test lets it
    with made:
        yield made


async def test_what_it_holds_is_what_is_read_and_its_faults_are_seen(meter: Sml) -> None:
    port = SerialPort(meter.port, FAST)
    port.open()
    device = Driver(port)
    damaged = []
    for fault in ("", *(f for f in FAULTS if f != "silent")):
        meter.faults.extend([fault] if fault else [])
        meter.send(meter.speak())
        try:
            if fault == "cut":
                meter.send(meter.speak())
            assert reported(await device.read()) == pytest.approx(VALUES)
        except DataError:
            damaged.append(fault)
        assert not meter.faults
        meter.send(meter.speak())
        assert reported(await device.read()) == pytest.approx(VALUES), fault
    assert damaged == ["crc", "message_crc", "flip"]
    assert device.identity == "1KST0003160491"
    meter.pin = False
    meter.send(meter.speak())
    found = reported(await device.read())
    assert found.keys() == {key for key in VALUES if key.startswith("energy")}
    port.close()


@pytest.mark.parametrize("check", ["x25", "kermit"])
def test_another_implementation_reads_all_of_it(check: Check) -> None:
    values = {key: 1.0 + place for place, key in enumerate(ROWS)}
    values |= {"power": -613.25, "frequency": 50.0}
    frame = Sml(values, kermit=check == "kermit").frame()
    number, *entries = by_peer(frame, check)
    assert number.value == "0a014b535400003039ab"
    assert len(entries) == len(ROWS)
    for entry, (key, (code, unit, _)) in zip(entries, ROWS.items(), strict=True):
        assert entry.obis == code
        assert entry.unit == unit
        want = values[key] * (1000 if key.startswith("energy") else 1)
        assert entry.get_value() == pytest.approx(want)
    assert entries[0].status == 0x1C0104
    ours = explain([frame])
    assert ours == pytest.approx(values)


@settings(deadline=None, max_examples=examples(40))
@given(st.floats(0, 1e7), st.floats(-2e4, 2e4), st.booleans(), st.sampled_from(["x25", "kermit"]))
def test_both_read_the_same_of_any_frame(
    energy: float, power: float, pin: bool, check: Check
) -> None:
    meter = Sml({"energy_import": energy, "power": power}, pin=pin, kermit=check == "kermit")
    frame = meter.frame()
    _, *entries = by_peer(frame, check)
    ours = explain([frame])
    assert ours["energy_import"] == pytest.approx(kwh(entries[0]))
    assert len(entries) == 1 + pin
    if pin:
        assert ours["power"] == pytest.approx(entries[1].get_value())


@settings(deadline=None, max_examples=examples(150))
@given(st.integers(0, 2000), st.integers(1, 255))
def test_of_a_frame_that_was_forged_ours_reads_what_the_peer_reads_or_nothing(
    at: int, change: int
) -> None:
    """One byte is another one, and all checksums are right again."""
    body = bytearray(wire.unwrap(Sml(VALUES).frame())[0])
    at %= len(body)
    body[at] ^= change
    starts, reader = [0], wire.SmlReader(bytes(body))
    with suppress(DataError):
        while reader.at < len(body):  # where its messages end; their checksums are the last nodes
            reader.at += 1
            for _ in range(4):
                reader.node(1)
            end = reader.at
            body[end : end + 3] = b"\x63" + crc(bytes(body[starts[-1] : end]))
            reader = wire.SmlReader(bytes(body))
            reader.at = end + 4
            starts.append(reader.at)
    frame = encode_frame(bytes(body))
    try:
        ours = wire.decode(frame).entries
    except DataError:
        return
    with suppress(pytest.importorskip("smllib.errors").SmlLibException, ValueError):  # it refuses
        theirs = [(e.obis, e.unit or 0, e.scaler or 0, e.value) for e in by_peer(frame)]
        for mine, other in zip(ours, theirs, strict=True):
            value = mine.value.value if isinstance(mine.value, wire.SmlNumber) else other[3]
            assert (mine.name.hex(), mine.unit, mine.scaler, value) == other

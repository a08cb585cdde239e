"""The meters behind a DSMR/ESMR meter: named, taken away, replaced, never mixed up."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips._p1_meters import MBUS
from drivers.chips.dsmr import POINTS, Dsmr, draft_options, explain
from edge.core import (
    GOOD,
    Condition,
    ConfigError,
    PointKind,
    Reason,
    Sample,
    UncertainValue,
    uncertain,
)
from edge.process.registerwindow import RegisterWindow
from tests.drivers.bench import SerialWire
from tests.drivers.chips.p1 import ADDRESS, CONTRADICTED, GAS, RANGE, STALE, one, telegram


@pytest.mark.parametrize(
    ("lines", "want"),
    [
        ((GAS, "0-1:24.2.1(261125115500W)(00123.456*m3)"), 123.456),
        (("0-1:24.2.1(261125115500W)(00123.456*m3)", GAS), 123.456),
        ((GAS, "0-1:24.2.3(261125115500W)(00123.456*m3)"), 123.456),  # Belgium: not corrected
        ((GAS, "0-1:24.3.0(261125110000)(00)(60)(1)(0-1:24.2.1)(m3)", "(00123.456)"), 123.456),
        ((GAS, "0-1:24.2.1(261125115500W)(00123.456*kWh)"), RANGE),
        ((GAS, "0-1:24.2.1(261125115500W)(00123.456)"), RANGE),
        ((GAS, "0-1:24.2.1(700101010000W)(00000000)"), STALE),
        ((GAS, "0-1:24.2.1(632525252525S)(00000.000)"), STALE),
        ((GAS, "0-1:24.2.1(681027002758S)(01023.855*m3)"), STALE),
        ((GAS, "0-1:24.2.1()(01023.855*m3)"), STALE),
        ((GAS, "0-1:24.2.1(261125115500W)"), ADDRESS),
        ((GAS, "0-1:24.2.1(261125115500W)()"), ADDRESS),
        (("0-1:24.1.0(002)", "0-1:24.2.1(261125115500W)(00123.456*kWh)"), ADDRESS),
        (("0-1:24.2.1(261125115500W)(00123.456*m3)",), ADDRESS),  # of what, nobody says
        (("0-5:24.1.0(003)", "0-5:24.2.1(261125115500W)(00123.456*m3)"), ADDRESS),
    ],
)
def test_gas_is_read_in_all_forms_and_nothing_else_for_it(
    lines: tuple[str, ...], want: Sample
) -> None:
    assert one("1-0:1.8.0(1*kWh)", *lines).get("gas_volume", ADDRESS) == want


@pytest.mark.parametrize("first", [True, False])
def test_a_meter_that_was_taken_away_long_ago_is_none(first: bool) -> None:
    old = ["0-1:24.1.0(003)", "0-1:24.2.1(250101000000W)(09000.000*m3)"]
    new = ["0-2:24.1.0(003)", "0-2:24.2.1(261125115500W)(00001.500*m3)"]
    gone = ["0-3:24.1.0(003)", "0-3:24.2.1(632525252525S)(00000.000*m3)"]
    lines = [*old, *new, *gone] if first else [*gone, *new, *old]
    assert one(*lines)["gas_volume"] == 1.5


A, B, C = "G0011112222333344", "G0055556666777788", "G0099990000111122"
AT = "261125115500W"


def gas(channel: int, name: str | None, volume: float, at: str = AT) -> list[str]:
    reported = [] if name is None else [f"0-{channel}:96.1.0({name.encode().hex().upper()})"]
    reading = f"0-{channel}:24.2.1({at})({volume:09.3f}*m3)"
    return [f"0-{channel}:24.1.0(003)", *reported, reading]


def port(*lines: list[str]) -> bytes:
    return telegram("1-0:1.8.0(1*kWh)", *(line for each in lines for line in each))


async def read(device: Dsmr, frame: bytes) -> dict[str, Sample]:
    device.bus = SerialWire([frame])
    found = zip([p.key for p in device.points], await device.read(), strict=True)
    return {key: s for key, s in found if s != ADDRESS and "energy" not in key}


TWO = (
    port(gas(1, A, 734.607, "261125115500W"), gas(2, B, 0.0, "261125115000W")),
    port(gas(1, A, 734.607, "261125115500W"), gas(2, B, 0.0, "261125120000W")),  # B's is the later
    port(gas(1, B, 0.0, "261125120000W"), gas(2, A, 734.607, "261125115500W")),
)


async def test_two_gas_meters_that_nobody_has_named_are_one_clear_word_and_no_number() -> None:
    device = Dsmr(SerialWire([]))
    for frame in TWO:
        assert await read(device, frame) == {"gas_volume": CONTRADICTED}
        assert explain([frame])["gas_volume"] == CONTRADICTED
        text = device.health[Condition.SETTINGS]
        assert f'write gas = ["{A}", "{B}"]' in text
        assert draft_options(frame) == {"gas": [A, B]}
    one_left = port(gas(2, A, 735.0))  # of which of them the register was before, nobody knows
    assert await read(device, one_left) == {"gas_volume": UncertainValue(735.0, Reason.GAP)}
    assert device.health == {}
    assert draft_options(port(gas(2, A, 735.0))) == {}


@pytest.mark.parametrize("names", [(B, A), (B.encode().hex(), A.encode().hex().upper())])
async def test_named_meters_have_a_point_each_whatever_channel_they_are_on(
    names: tuple[str, ...],
) -> None:
    for frame in TWO:  # each time started anew
        device = Dsmr(SerialWire([]), gas=names)
        assert [p.key for p in device.points] == [*(p.key for p in POINTS), "gas_volume_2"]
        assert device.points[-1].kind is PointKind.TOTAL
        assert await read(device, frame) == {"gas_volume": 0.0, "gas_volume_2": 734.607}
        assert device.health == {}


async def test_of_named_meters_one_may_fall_silent_or_be_replaced() -> None:
    device = Dsmr(SerialWire([]), gas=(A, B))
    await read(device, TWO[0])
    assert await read(device, port(gas(1, B, 0.5))) == {"gas_volume_2": 0.5}
    assert device.health == {}
    never = port(gas(2, A, 0.0, "632525252525S"), gas(1, B, 0.5))
    assert await read(device, never) == {"gas_volume": STALE, "gas_volume_2": 0.5}
    assert await read(device, port(gas(2, C, 9.0), gas(1, B, 0.5))) == {"gas_volume_2": 0.5}
    assert f"gas names {A}, but the port reports" in device.health[Condition.SETTINGS]
    assert C in device.health[Condition.SETTINGS]


async def test_naming_one_of_two_leaves_the_other_alone() -> None:
    device = Dsmr(SerialWire([]), gas=(B,))
    assert device.points == POINTS
    for frame in TWO:
        assert await read(device, frame) == {"gas_volume": 0.0}
        assert device.health == {}


async def test_another_meter_behind_a_point_counts_no_step_over_a_restart_either() -> None:
    device = Dsmr(SerialWire([]))
    total = RegisterWindow(MBUS[3], 1e6)

    async def fed(frame: bytes) -> Sample:
        sample = (await read(device, frame))["gas_volume"]
        value = sample.value if isinstance(sample, UncertainValue) else sample
        quality = uncertain(sample.reason) if isinstance(sample, UncertainValue) else GOOD
        total.other(value, quality, 0, late=False)  # type: ignore[arg-type]
        return sample

    assert await fed(port(gas(1, A, 100.0))) == 100.0
    kept = device.snapshot()
    for name, volume in ((B, 101.0), (A, 102.0), (B, 103.0)):  # each a little above the other
        device = Dsmr(SerialWire([]))
        device.restore(kept, -1.0)
        assert await fed(port(gas(1, name, volume))) == UncertainValue(volume, Reason.GAP)
        kept = device.snapshot()
    for _ in range(9):
        last = await fed(port(gas(1, B, 103.0)))
    assert last == 103.0
    assert await fed(port(gas(1, B, 103.5))) == 103.5
    assert total.body().delta == 0.5
    device.restore(kept, 0.0)
    assert await fed(port(gas(1, B, 103.5))) == 103.5  # it knows better by now


async def test_meters_without_an_identifier_cannot_be_told_apart() -> None:
    for names in ((None, None), (A, None), (None, "0000")):
        device = Dsmr(SerialWire([]))
        frame = port(gas(1, names[0], 5.0), gas(2, names[1], 5.0))
        assert await read(device, frame) == {"gas_volume": CONTRADICTED}
        assert "not all send an identifier" in device.health[Condition.SETTINGS]
        assert draft_options(frame) == {}
    device = Dsmr(SerialWire([]), gas=(A,))
    assert await read(device, port(gas(1, A, 5.0), gas(2, None, 6.0))) == {"gas_volume": 5.0}


GAP = [UncertainValue(834.0, Reason.GAP)] * 5 + [834.0]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    ("before", "gone"),
    [
        ([gas(1, A, 7.0)], gas(2, None, 834.0)),  # its place takes one that has no identifier
        ([gas(1, None, 7.0)], gas(2, A, 834.0)),
        ([gas(1, None, 7.0), gas(2, None, 834.0)], gas(2, None, 834.0)),
        ([gas(1, None, 7.0), gas(2, A, 834.0)], gas(2, A, 834.0)),
        ([gas(1, A, 7.0), gas(2, A, 834.0)], gas(2, A, 834.0)),
    ],
)
async def test_who_goes_on_alone_counts_no_step_if_it_may_be_another(
    before: list[list[str]], gone: list[str], restart: bool
) -> None:
    device = Dsmr(SerialWire([]))
    await read(device, port(before[0]))
    await read(device, port(*before))
    if restart:
        kept = device.snapshot()
        device = Dsmr(SerialWire([]))
        device.restore(kept, -1.0)
    found = [(await read(device, port(gone)))["gas_volume"] for _ in GAP]
    assert found == GAP
    kept = device.snapshot()
    device = Dsmr(SerialWire([]))
    device.restore(kept, -1.0)
    assert await read(device, port(gone)) == {"gas_volume": 834.0}


async def test_a_gap_is_not_over_by_a_restart() -> None:
    device = Dsmr(SerialWire([]))
    await read(device, port(gas(1, A, 7.0)))
    assert await read(device, port(gas(1, None, 834.0))) == {"gas_volume": GAP[0]}
    kept = device.snapshot()
    device = Dsmr(SerialWire([]))
    device.restore(kept, -1.0)
    assert await read(device, port(gas(1, None, 834.0))) == {"gas_volume": GAP[0]}


async def test_two_meters_with_one_identifier_are_no_register_that_alternates() -> None:
    low, high = 7.0, 834.0
    device = Dsmr(SerialWire([]))
    later_low = port(gas(1, A, high, "261125115000W"), gas(2, A, low, "261125115500W"))
    assert await read(device, later_low) == {"gas_volume": CONTRADICTED}
    assert await read(Dsmr(SerialWire([]), gas=(A,)), later_low) == {"gas_volume": CONTRADICTED}
    assert draft_options(later_low) == {}  # a name would not tell them apart


async def test_a_meter_on_two_channels_is_one_by_its_later_reading() -> None:
    device = Dsmr(SerialWire([]))
    early, late = gas(1, A, 4.0, "261125115000W"), gas(2, A, 5.0, "261125115500W")
    for lines in ((early, late), (late, early), (late, gas(3, A, 5.0, "261125115500W"))):
        assert await read(device, port(*lines)) == {"gas_volume": 5.0}
    torn = port(gas(1, A, 4.0), gas(2, A, 5.0))
    assert await read(device, torn) == {"gas_volume": CONTRADICTED}
    assert f"different readings of the gas meter {A}" in device.health[Condition.SETTINGS]
    assert await read(Dsmr(SerialWire([]), gas=(A,)), torn) == {"gas_volume": CONTRADICTED}


async def test_a_hundred_invented_meters_cost_nothing() -> None:
    device = Dsmr(SerialWire([]), gas=(A, B))
    for n in range(100):
        await read(device, port(gas(n % 4 + 1, f"{n:064d}", n), gas(n % 9, "Z" * 99, n)))
    assert len(device.points) == len(POINTS) + 1
    assert device.snapshot() == b""
    plain = Dsmr(SerialWire([]))
    for n in range(100):
        await read(plain, port(gas(1, f"{n:04d}" * 40, n)))
    assert len(plain.snapshot()) < 256
    for kept in (b"", b"p1 1", b"\xff", b"p1 1\nx=y\ngas_volume", plain.snapshot() * 99):
        plain.restore(kept, 0.0)


@pytest.mark.parametrize("names", [("",), (A, A), (A, A.encode().hex()), tuple("ABCDE"), ("000",)])
def test_identifiers_that_cannot_be_are_a_mistake(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"gas = .* cannot be right"):
        Dsmr(SerialWire([]), gas=names)


@given(st.permutations(range(4)), st.permutations(range(1, 5)))
def test_neither_order_nor_channel_changes_what_a_named_meter_tells(
    order: list[int], channels: list[int]
) -> None:
    names = [A, B, C, "G1"]
    lines = [gas(channels[n], names[n], 10.0 * n) for n in order]
    device = Dsmr(SerialWire([port(*lines)]), gas=(A, B, C))
    found = dict(zip([p.key for p in device.points], asyncio.run(device.read()), strict=True))
    assert [found[k] for k in ("gas_volume", "gas_volume_2", "gas_volume_3")] == [0.0, 10.0, 20.0]


def test_heat_water_and_warm_water_have_points_of_their_own() -> None:
    at = "(261125115500W)"
    found = one(
        "0-1:24.1.0(004)", f"0-1:24.2.1{at}(1.8*GJ)", "0-2:24.1.0(007)", f"0-2:24.2.1{at}(2.5*m3)",
        "0-3:24.1.0(006)", f"0-3:24.2.1{at}(3.5*m3)",
    )  # fmt: skip
    assert found == {"heat_energy": 500.0, "water_volume": 2.5, "warm_water_volume": 3.5}
    assert one("0-1:24.1.0(012)", f"0-1:24.2.1{at}(7*kWh)") == {"heat_energy": 7}
    assert one("0-1:24.1.0(004)", f"0-1:24.2.1{at}(7)") == {"heat_energy": RANGE}
    assert {point.kind for point in MBUS.values()} == {PointKind.TOTAL}

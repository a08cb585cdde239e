"""Whatever breaks between box and city, or in the box: a vehicle is counted, or a gap says so."""

from collections.abc import Callable

import pytest

from edge.rig.testparts import (
    Breakage,
    BrokerUnderTest,
    ClockUnderTest,
    DevicesUnderTest,
    GatewayUnderTest,
    LinkUnderTest,
    PowerUnderTest,
    RecordsUnderTest,
    StreetUnderTest,
)

pytestmark = [pytest.mark.rig(site="crossing.toml"), pytest.mark.rig_layer("sim", "pty")]
WAYS: dict[str, Callable[[LinkUnderTest], Breakage]] = {
    "down": lambda link: link.down(),
    "black_hole": lambda link: link.black_hole(),
    "late": lambda link: link.latency(0.5),
    "narrow": lambda link: link.bandwidth(8),
    "damaged": lambda link: link.chunk_loss(0.2),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_lost_on_a_broken_way(
    way: str, street: StreetUnderTest, link: LinkUnderTest, gateway: GatewayUnderTest,
    records: RecordsUnderTest,
) -> None:  # fmt: skip
    gateway.wait(3)
    came = street.lane("north_1").traffic(per_hour=1200, for_s=12, kind="mixed")
    with WAYS[way](link):
        gateway.wait(12)
    gateway.wait(max(0.0, came[-1].off_s - gateway.now_s))
    records.expect("volume", source="north_1", true=True)
    records.expect("complete")


def test_nothing_is_lost_while_the_broker_is_away(
    street: StreetUnderTest, broker: BrokerUnderTest, gateway: GatewayUnderTest,
    records: RecordsUnderTest,
) -> None:  # fmt: skip
    street.lane("north_1").drive()
    with broker.stop():
        gateway.wait_until("connected", below=1)
        street.lane("north_1").drive(length_m=12.0)
        gateway.wait_until("queue", above=4)
    gateway.wait_until("connected", above=1)
    gateway.wait_until("queue", below=1)
    records.expect("volume", source="north_1", equals=2)
    records.expect("complete")


def test_a_killed_box_declares_what_it_has_not_seen(
    street: StreetUnderTest, gateway: GatewayUnderTest, records: RecordsUnderTest
) -> None:
    street.lane("north_1").drive()
    records.expect("volume", source="north_1", equals=1)
    killed = gateway.kill()
    street.lane("north_2").drive()  # nobody is there to count it
    records.expect("gap", source="*", key="restart", fault=killed, within_s=60)
    gateway.wait(4)
    back_s = gateway.now_s
    street.lane("north_2").drive()
    records.expect("volume", source="north_2", equals=1, from_s=back_s)
    records.expect("complete")


def test_a_power_cut_is_told_as_a_gap(
    street: StreetUnderTest, gateway: GatewayUnderTest, power: PowerUnderTest,
    records: RecordsUnderTest,
) -> None:  # fmt: skip
    street.lane("north_1").drive()
    records.expect("volume", source="north_1", equals=1)
    cut = power.cut()
    records.expect("gap", source="*", fault=cut, within_s=60)
    gateway.wait(4)
    back_s = gateway.now_s
    street.lane("north_1").drive()
    records.expect("volume", source="north_1", equals=1, from_s=back_s)


def test_a_clock_that_is_set_costs_no_vehicle(
    street: StreetUnderTest, gateway: GatewayUnderTest, clock: ClockUnderTest,
    records: RecordsUnderTest,
) -> None:  # fmt: skip
    for by_s in (86_400, -7_200):
        street.lane("north_1").drive()
        clock.jump(by_s)
        street.lane("north_1").drive()
        gateway.wait(4)
    records.expect("volume", source="north_1", equals=4)
    records.expect("complete")


def test_a_silent_meter_disturbs_nobody(
    street: StreetUnderTest, meter: DevicesUnderTest, air: DevicesUnderTest,
    gateway: GatewayUnderTest, records: RecordsUnderTest,
) -> None:  # fmt: skip
    air.set(temperature=31.5)
    with meter.silent() as dead:
        street.lane("north_1").drive()
        records.expect("quality", source="main_meter", key="power", reason="silent", fault=dead)
        records.expect("issue", source="main_meter", key="device_fails", fault=dead, within_s=60)
        records.expect("value", source="hut", key="temperature", equals=31.5, tolerance=0.2)
    gateway.wait(30)  # it is asked less often while it is silent
    records.expect("value", source="main_meter", key="power", field="mean", equals=0, tolerance=1e6)
    records.expect("volume", source="north_1", equals=1)

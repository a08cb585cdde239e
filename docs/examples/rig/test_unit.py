"""The roadside unit on a street that the test drives."""

from typing import Any


def test_each_vehicle_is_counted(street: Any, records: Any) -> None:
    for speed_kmh in (30, 50, 80):
        street.lane("north_1").drive(speed_kmh=speed_kmh, length_m=4.5)
    records.expect("volume", source="north_1", true=True)
    records.expect("volume", source="north_2", equals=0)
    records.expect("complete")


def test_nothing_is_lost_while_the_link_is_down(
    street: Any, link: Any, gateway: Any, records: Any
) -> None:
    street.lane("north_1").drive()
    with link.down():
        street.lane("north_1").traffic(per_hour=1200, for_s=5)
        gateway.wait(8)
    records.expect("volume", source="north_1", true=True)
    records.expect("complete")


def test_a_loop_that_sticks_is_told(street: Any, records: Any) -> None:
    street.lane("north_2").drive()
    with street.lane("north_2").fault("stuck_on") as sticks:
        street.lane("north_2").drive()
        records.expect("flag", source="north_2", key="stuck_on", fault=sticks, within_s=10)

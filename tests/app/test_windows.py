"""Windows end on the boot's boundaries, and on the wall's as soon as the wall is known."""

from edge.app.windows import Windows
from edge.core import Stamp, TimeQuality

S = 1_000_000_000
MINUTE = 60 * S


def stamp(mono_s: float, wall_s: float, tq: TimeQuality) -> Stamp:
    return Stamp(int(mono_s * S), int(wall_s * S), tq)


def test_without_time_windows_follow_the_boot() -> None:
    windows = Windows(MINUTE, stamp(130, 7, "none"))
    assert windows.end_ns == 180 * S
    windows.opened(stamp(180, 57, "none"))
    assert windows.end_ns == 240 * S


def test_with_time_windows_follow_the_wall() -> None:
    windows = Windows(MINUTE, stamp(130, 1000, "ntp"))
    assert windows.end_ns == 150 * S  # wall 1020


def test_the_first_synchronisation_cuts_the_window() -> None:
    windows = Windows(MINUTE, stamp(130, 7, "rtc"))
    assert windows.cut(stamp(131, 8, "rtc")) is None
    assert windows.cut(stamp(132, 1_790_000_000, "ntp")) == "synchronised"
    windows.opened(stamp(132, 1_790_000_000, "ntp"))
    assert windows.end_ns == (132 + 40) * S  # 1_790_000_000 is 20 s past a minute
    assert windows.cut(stamp(133, 1_790_000_001, "ntp")) is None


def test_a_step_of_a_known_wall_cuts_the_window_and_slewing_does_not() -> None:
    windows = Windows(MINUTE, stamp(100, 6000, "ntp"))
    assert windows.cut(stamp(101, 6001.0005, "ntp")) is None
    assert windows.cut(stamp(102, 5000, "ntp")) == "step"
    assert windows.cut(stamp(103, 5001, "ntp")) is None


def test_a_slewed_boundary_makes_no_tiny_window() -> None:
    windows = Windows(MINUTE, stamp(100, 6010, "ntp"))
    assert windows.end_ns == 150 * S
    windows.opened(stamp(150, 6059.997, "ntp"))  # the wall fell back by 3 ms
    assert windows.end_ns == 210 * S + 3_000_000

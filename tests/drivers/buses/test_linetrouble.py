"""What is said of a line in trouble, and how long it is left alone before it is tried again."""

import errno

from hypothesis import given
from hypothesis import strategies as st

from drivers.buses.gpio import LineLimits
from drivers.buses.gpio.linetrouble import no_chip, no_line
from drivers.buses.gpio.listener import WatchedLine
from edge.core import LineSpec, Reason

MS = 1_000_000


def test_a_missing_right_names_the_group() -> None:
    trouble = no_chip("/dev/gpiochip0", PermissionError(errno.EACCES, "Permission denied"))
    assert trouble.state == "denied"
    assert "group gpio" in trouble.text


def test_other_errors_of_a_line_name_it_and_what_was_asked() -> None:
    spec = LineSpec("HEAT", "up", 0.01)
    refused = no_line("/dev/gpiochip0", spec, OSError(errno.EINVAL, "Invalid argument"), "")
    assert "HEAT of /dev/gpiochip0 cannot be set to bias up and debounce 0.01 s" in refused.text
    other = no_line("/dev/gpiochip0", spec, OSError(errno.EIO, "Input/output error"), "")
    assert (other.state, other.reason) == ("failed", Reason.SILENT)
    assert "HEAT" in other.text
    assert "Input/output error" in other.text
    closed = no_chip("/dev/gpiochip0", OSError(errno.EIO, "Input/output error"))
    assert closed.text == "/dev/gpiochip0 cannot be opened: Input/output error"


@given(st.integers(min_value=1, max_value=2_000))
def test_pauses_grow_and_are_capped(failures: int) -> None:
    entry = WatchedLine(LineSpec("0"), LineLimits())
    pauses = [entry.pause_s(0) for _ in range(failures)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 2.0
    assert pauses[-1] <= 300.0
    entry.opened_ns = 0
    assert entry.pause_s(59_000 * MS) >= pauses[-1]  # opened, but not for long
    entry.opened_ns = 0
    assert entry.pause_s(60_000 * MS) == 2.0

"""Meters on a real UART and behind a USB adapter that is pulled out and put back."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from drivers.sim.meter import MeterLine
from edge.rig.qmp import QmpError
from tests.kernel.held import METER, USB_METER
from tests.kernel.machine import GuestMachine

pytestmark = pytest.mark.kernel

READS = 6


@pytest.fixture(scope="module")
def on_uart(machine: GuestMachine, line: MeterLine) -> dict[str, Any]:
    """What guest/meter.py found on ttyS1."""
    before = line.damaged
    found: dict[str, Any] = machine.python("meter", "/dev/ttyS1", 9600, "E", 1, READS)
    found["cut"] = line.damaged - before
    return found


@pytest.fixture
def no_adapter(machine: GuestMachine) -> Iterator[None]:
    """None is plugged in before, and none after."""
    yield
    with suppress(QmpError):
        machine.unplug()
    machine.run("while ls /dev/ttyUSB* 2>/dev/null; do busybox usleep 100000; done")


def test_a_meter_on_ttys1_is_read_with_8e1(on_uart: dict[str, Any], line: MeterLine) -> None:
    values = [found for found in on_uart["readings"] if isinstance(found, dict)]
    assert values
    assert values == [METER] * len(values)
    # a host so busy that it lets 4 ms pass between two bytes cuts a question: that is not ours
    assert len(values) >= READS - on_uart["cut"], on_uart["readings"]
    # as the kernel has set its driver: even parity, eight bits, one stop bit
    flags = ["parenb", "-parodd", "cs8", "-cstopb"]
    assert on_uart["framing"] == {"baud": 9600, "flags": flags}
    assert line.early == 0  # none came within 3.5 characters of what was before it


def test_a_port_does_not_become_the_controlling_terminal(on_uart: dict[str, Any]) -> None:
    assert on_uart["terminal"] is False


def test_nobody_else_opens_a_port_that_is_ours(on_uart: dict[str, Any]) -> None:
    assert "is in use by another program" in on_uart["second"]
    assert "Errno 16" in on_uart["stranger"]  # neither with an open that asks for no lock


@pytest.mark.parametrize(("kind", "again_at"), [("by-id", 2), ("by-path", 1)])
def test_an_adapter_that_was_unplugged_is_opened_again_by_its_name(
    machine: GuestMachine, no_adapter: None, kind: str, again_at: int
) -> None:
    machine.plug(1)
    machine.start(f"python3 -m tests.kernel.guest.unplugged {kind}")
    machine.expect("^it reads$", 120)
    machine.unplug()
    machine.expect("^it is absent$", 120)
    machine.plug(again_at)  # by-id names the adapter wherever it is, by-path the port
    reported = machine.answer()
    assert f"/dev/serial/{kind}/" in reported["port"]
    # somebody held the old device: it is another one now, and only the name has stayed
    assert (reported["before"], reported["after"]) == ("/dev/ttyUSB0", "/dev/ttyUSB1")
    assert reported["values"] == [USB_METER] * 2
    first, *others = reported["troubles"]
    assert "vanished" in first
    assert any("is not there" in trouble for trouble in others)

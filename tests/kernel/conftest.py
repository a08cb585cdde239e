"""One guest for all tests of wires, with a meter at its ttyS1 and one behind a USB adapter; one
with systemd for the way of a phone and a laptop.

`make kernel-test` shows what is made and how long it takes; the tests are no part of `make test`.
"""

import time
from collections.abc import Iterator

import pytest

from drivers.sim.meter import MeterLine, MeterServer
from tests.kernel.build import Built, build
from tests.kernel.buildsystem import build_system
from tests.kernel.doorscene import DoorScene
from tests.kernel.held import METER, USB_METER
from tests.kernel.machine import GuestMachine
from tests.kernel.offer import Unavailable


@pytest.fixture(scope="session")
def built() -> Built:
    try:
        return build()
    except Unavailable as reason:
        pytest.skip(f"there is no guest to boot: {reason}")


@pytest.fixture(scope="session")
def line() -> Iterator[MeterLine]:
    """What the guest has at ttyS1: 9600 8E1, one meter."""
    one = MeterLine({1: MeterServer("sdm630", METER)}, 9600, "E", 1).start()
    yield one
    one.stop()


@pytest.fixture(scope="session")
def usb() -> Iterator[MeterLine]:
    """What is behind the USB adapter: 9600 8N2, another meter."""
    one = MeterLine({1: MeterServer("sdm630", USB_METER)}, 9600, "N", 2).start()
    yield one
    one.stop()


@pytest.fixture(scope="session")
def machine(built: Built, line: MeterLine, usb: MeterLine) -> Iterator[GuestMachine]:
    began = time.monotonic()
    one = GuestMachine(built, line.path, usb.path)
    print(f"it booted in {one.boot_s:.0f} s", flush=True)
    yield one
    one.close()
    print(f"\nit ran for {(time.monotonic() - began) / 60:.1f} min")


@pytest.fixture(scope="session")
def door() -> Iterator[DoorScene]:
    """The guest with systemd: two radios, a phone, the modem's side."""
    try:
        built = build_system()
    except Unavailable as reason:
        pytest.skip(f"there is no guest to boot: {reason}")
    machine = GuestMachine(built, second="system")
    try:
        print(f"it booted in {machine.boot_s:.0f} s", flush=True)
        made = DoorScene(machine)
        made.prepare()
        yield made
    finally:
        machine.close()

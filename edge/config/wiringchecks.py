"""Checks of the wiring: what sits on which bus, and that nothing is there twice."""

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec.structs import replace

from edge.config.build import SiteDraft
from edge.config.keylines import KeyPath
from edge.config.model import WIRINGS, Bus, SerialBus
from edge.config.problem import show_value, suggest
from edge.core.driver import FACTORY_LINE, DriverSpec, SerialLine

UNIQUE_KEYS: Final = {
    "i2c": "address",
    "modbus": "unit",
    "serial": "address",
}  # the option that tells devices apart
LEAST_SPACING_M: Final = 1.83  # six feet, of a pair of loops for vehicles (MnDOT IRIS)
LOOP_DRIVER: Final = "loop"  # the driver of a lane's loops; it is never a device of its own
PLACE_KEYS: Final = {
    "gpio": ("chip",),
    "i2c": ("path",),
    "serial": ("port",),
    "modbus-rtu": ("port",),
}


def check_wiring(draft: SiteDraft) -> None:
    """All checks of this module."""
    _one_owner(draft)
    _check_names(draft)
    for name in draft.names("device"):
        driver = draft.driver(name)
        if driver and driver.name == LOOP_DRIVER:
            draft.report(("device", name, "driver"), "a loop belongs to a lane; write [lane.NAME]")
        kinds = WIRINGS.get(driver.wiring, ()) if driver else ()
        _bus(draft, ("device", name, "bus"), kinds, driver.name if driver else "")
    for name in draft.names("lane"):
        _bus(draft, ("lane", name, "bus"), WIRINGS["gpio"], "a lane")
        _pair(draft, name)
    for name in draft.names("bay"):
        _bus(draft, ("bay", name, "bus"), WIRINGS["gpio"], "a bay")
    _alone_on_its_port(draft)
    _addresses(draft)
    _lines(draft)


def _one_owner(draft: SiteDraft) -> None:
    """A wire has one owner: two buses must not be the same port."""
    seen: dict[tuple[str, Any], str] = {}
    for name in draft.names("bus"):
        kind = draft.bus_kind(name)
        if kind is None:
            continue
        if kind == "modbus-tcp":
            key, place = "host", (draft.get("bus", name, "host"), draft.get("bus", name, "port"))
        else:
            key = PLACE_KEYS[kind][0]
            place = draft.get("bus", name, key)
        if place is None or None in (place if isinstance(place, tuple) else ()):
            continue
        if isinstance(place, str):
            place = os.path.realpath(place)  # one device may have two names
        other = seen.setdefault(("port" if key == "port" else kind, place), name)
        if other != name:
            draft.report(
                ("bus", name, key),
                f"is that of bus.{other} already; write all devices of one wire into one bus",
            )


def _check_names(draft: SiteDraft) -> None:
    owners: dict[str, str] = {}
    for table in ("device", "lane", "bay"):
        for name in draft.names(table):
            other = owners.setdefault(name, table)
            if other != table:
                problem = f"a {other} has this name already; records are told apart by it"
                draft.report((table, name), problem)


def _bus(draft: SiteDraft, path: KeyPath, kinds: tuple[str, ...], who: str) -> None:
    bus = draft.values.get(path)
    if bus is None:
        return
    known = draft.names("bus")
    if bus not in known:
        hint = suggest(bus, known) if known else f"add a table [bus.{bus}]"
        draft.report(path, f"no bus is called {show_value(bus)}; {hint}")
        return
    kind = draft.bus_kind(bus)
    if kind and kinds and kind not in kinds:
        wanted = " or ".join(kinds)
        right = [name for name in known if draft.bus_kind(name) in kinds]
        hint = f"; {' or '.join(right)} would fit" if right else ""
        draft.report(path, f"{who} needs a bus of kind {wanted}, and {bus} is {kind}{hint}")


def _pair(draft: SiteDraft, lane: str) -> None:
    """Two loops are two lines with a known distance."""
    table = draft.data["lane"][lane]
    lead, trail = draft.get("lane", lane, "lead"), draft.get("lane", lane, "trail")
    if lead and trail and _line(lead) == _line(trail):
        draft.report(
            ("lane", lane, "trail"),
            f"{trail} is already the line of lead; trail is for the second loop",
        )
    if "trail" in table and "spacing_m" not in table:
        draft.report(
            ("lane", lane, "spacing_m"),
            "is missing; two loops need the metres from the front edge of one to the other's",
        )
    if "spacing_m" in table and "trail" not in table:
        draft.report(("lane", lane, "trail"), "is missing; spacing_m is for a second loop")
    bicycles, spacing_m = draft.get("lane", lane, "kind") == "bicycle", table.get("spacing_m")
    if bicycles and "trail" in table and "loop_m" not in table:
        draft.report(
            ("lane", lane, "loop_m"),
            "is missing; loops for bicycles have no usual length, and lengths need it",
        )
    if not bicycles and isinstance(spacing_m, int | float) and 0.5 <= spacing_m < LEAST_SPACING_M:
        draft.report(
            ("lane", lane, "spacing_m"),
            f"{spacing_m:g} m are too short for a speed; {LEAST_SPACING_M:g} m are enough "
            '(loops for bicycles need kind = "bicycle")',
        )


def _alone_on_its_port(draft: SiteDraft) -> None:
    """A device that talks by itself cannot share a port, nor those that want another speed."""
    first: dict[str, tuple[str, DriverSpec]] = {}
    for name, bus in _devices(draft, "serial"):
        driver = draft.driver(name)
        if driver is None:
            continue
        other, before = first.setdefault(bus, (name, driver))
        if other == name:
            continue
        if not (driver.shared and before.shared):
            one = before if driver.shared else driver
            draft.report(
                ("device", name, "bus"),
                f"device.{other} is on {bus} already; {one.name} has no address, and needs a "
                "serial port of its own",
            )
        elif driver.line != before.line and draft.get("bus", bus, "baud") is None:
            draft.report(
                ("device", name, "bus"),
                f"{driver.name} leaves the factory with {driver.line}, and {before.name} with "
                f"{before.line}; set both alike, and write baud, parity, bits and stop for {bus}",
            )


def _addresses(draft: SiteDraft) -> None:
    for wiring, option in UNIQUE_KEYS.items():
        seen: dict[tuple[str, str, Any], str] = {}
        for name, bus in _devices(draft, wiring):
            driver = draft.driver(name)
            # on a serial line each protocol has addresses of its own
            kind = driver.name if driver and wiring == "serial" else ""
            fixed = driver.address if driver and wiring == "i2c" else None
            address = fixed if fixed is not None else draft.get("device", name, option)
            if address is None:
                continue
            other = seen.setdefault((bus, kind, address), name)
            if other != name:
                draft.report(
                    ("device", name, "bus" if fixed is not None else option),
                    f"device.{other} has {option} {show_value(address, option)} on {bus} already",
                )


def _lines(draft: SiteDraft) -> None:
    """A GPIO line belongs to one contact."""
    seen: dict[tuple[str, str], KeyPath] = {}
    for path, bus, line in _contacts(draft):
        other = seen.setdefault((bus, _line(line)), path)
        same_lane = other[:2] == path[:2]  # lead is trail: said already
        if other != path and not same_lane:
            owner = ".".join(map(str, other))
            draft.report(path, f"{line} on {bus} is used by {owner} already")


def _contacts(draft: SiteDraft) -> Iterator[tuple[KeyPath, str, str]]:
    for name, bus in _devices(draft, "gpio"):
        if line := draft.get("device", name, "line"):
            yield ("device", name, "line"), bus, line
    for name in draft.names("lane"):
        bus = draft.get("lane", name, "bus")
        for key in ("lead", "trail"):
            line = draft.get("lane", name, key)
            if bus and line:
                yield ("lane", name, key), bus, line
    for name in draft.names("bay"):
        bus, line = draft.get("bay", name, "bus"), draft.get("bay", name, "line")
        if bus and line:
            yield ("bay", name, "line"), bus, line


def _devices(draft: SiteDraft, wiring: str) -> Iterator[tuple[str, str]]:
    """Devices with drivers of this wiring, each with its bus."""
    for name in draft.names("device"):
        driver, bus = draft.driver(name), draft.get("device", name, "bus")
        if driver and driver.wiring == wiring and bus:
            yield name, bus


def _line(text: str) -> str:
    """Two ways to write one line: `17` is GPIO17."""
    return f"GPIO{int(text)}" if text.isdecimal() and text.isascii() else text


def resolve_serial_settings(draft: SiteDraft, buses: Mapping[str, Bus]) -> dict[str, Bus]:
    """The buses, each serial one set as its device wants it where the file says nothing."""
    wanted = {bus: driver.line for name, bus in reversed(list(_devices(draft, "serial")))
              if (driver := draft.driver(name))}  # fmt: skip
    return {name: _resolve_bus(bus, wanted.get(name, FACTORY_LINE)) for name, bus in buses.items()}


def _resolve_bus(bus: Bus, factory: SerialLine) -> Bus:
    if not isinstance(bus, SerialBus):
        return bus
    line = bus.line(factory)
    return replace(bus, baud=line.baud, bits=line.bits, parity=line.parity, stop=line.stop)

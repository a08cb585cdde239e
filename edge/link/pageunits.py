"""The units of systemd that bring the page to an interface: started over D-Bus, and waited for."""

import logging
from collections.abc import Callable, Iterable
from typing import Final

from edge.link.dbus import DBus, DBusError
from edge.link.services import get_property

log = logging.getLogger(__name__)
SYSTEMD: Final = "org.freedesktop.systemd1"
SYSTEMD_PATH: Final = "/org/freedesktop/systemd1"
MANAGER: Final = f"{SYSTEMD}.Manager"
UNIT_S: Final = 30.0
LOOK_S: Final = 0.25

Wait = Callable[[float], None]


class AccessPointError(Exception):
    """The page is not reached there; the text says why, and what to do."""


def start_unit(bus: DBus, name: str, wait: Wait) -> None:
    """Until it is active. Raises AccessPointError, DBusError."""
    bus.call(SYSTEMD, SYSTEMD_PATH, f"{MANAGER}.StartUnit", "ss", name, "replace")
    (path,) = bus.call(SYSTEMD, SYSTEMD_PATH, f"{MANAGER}.LoadUnit", "s", name)
    for _ in range(int(UNIT_S / LOOK_S)):
        # asked in this order: a job that is done has left its unit as it will be
        job, _ = get_property(bus, SYSTEMD, path, f"{SYSTEMD}.Unit", "Job")
        state = get_property(bus, SYSTEMD, path, f"{SYSTEMD}.Unit", "ActiveState")
        if job == 0 and state == "active":
            return
        if job == 0 and state != "activating":
            break
        wait(LOOK_S)
    raise AccessPointError(
        f"{name} does not start: `systemctl status '{name}'`; it needs the packages nftables and "
        "dnsmasq-base"
    )


def start_page_sockets(bus: DBus, interfaces: Iterable[str], wait: Wait) -> list[str]:
    """The page where the site file names an interface; never on one that it does not. What was
    started; one that does not start is reported, and stops nothing."""
    started = []
    for interface in interfaces:
        sockets = [f"kerbstone-{each}@{interface}.socket" for each in ("web", "portal")]
        try:
            for name in (f"kerbstone-bind@{interface}.service", *sockets):
                start_unit(bus, name, wait)
            started += sockets
        except (AccessPointError, DBusError) as error:
            log.error("the page is not reached on %s: %s", interface, error)
    return started


def stop_page_sockets(bus: DBus, names: Iterable[str]) -> None:
    """At the end of this process: another site file may name others."""
    for name in names:
        try:
            bus.call(SYSTEMD, SYSTEMD_PATH, f"{MANAGER}.StopUnit", "ss", name, "replace")
        except DBusError as error:
            log.error("%s does not stop: %s", name, error)

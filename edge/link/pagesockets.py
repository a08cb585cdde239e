"""The page on further interfaces, where the site file names them; never on one that it does not."""

import logging
from collections.abc import Iterable
from typing import Final

from edge.link.dbus import DBus, DBusError
from edge.link.wifiaccesspoint import SYSTEMD, SYSTEMD_PATH

log = logging.getLogger(__name__)
SOCKETS: Final = ("kerbstone-web@{}.socket", "kerbstone-portal@{}.socket")


def start_page_sockets(bus: DBus, interfaces: Iterable[str]) -> list[str]:
    """The units that were started. One that does not start is reported, and stops nothing."""
    started = []
    for name in (socket.format(each) for each in interfaces for socket in SOCKETS):
        try:
            method = f"{SYSTEMD}.Manager.StartUnit"
            bus.call(SYSTEMD, SYSTEMD_PATH, method, "ss", name, "replace")
            started.append(name)
        except DBusError as error:
            log.error("%s does not start, so the page is not reached there: %s", name, error)
    return started


def stop_page_sockets(bus: DBus, names: Iterable[str]) -> None:
    """At the end of this process: another site file may name others."""
    for name in names:
        try:
            method = f"{SYSTEMD}.Manager.StopUnit"
            bus.call(SYSTEMD, SYSTEMD_PATH, method, "ss", name, "replace")
        except DBusError as error:
            log.error("%s does not stop: %s", name, error)

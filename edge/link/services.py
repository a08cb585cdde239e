"""NetworkManager, ModemManager and logind: the few calls that a link needs of them."""

from typing import Any, Final

from edge.link.dbus import DBus, DBusError
from edge.link.profile import UUID

NM: Final = "org.freedesktop.NetworkManager"
NM_PATH: Final = "/org/freedesktop/NetworkManager"
MM: Final = "org.freedesktop.ModemManager1"
LOGIND: Final = "org.freedesktop.login1"
GET: Final = "org.freedesktop.DBus.Properties.Get"
ACTIVATED: Final = 2  # NMActiveConnectionState
NONE: Final = "/"


def get_property(bus: DBus, to: str, path: str, interface: str, name: str) -> Any:
    """A property, out of its variant."""
    ((_, value),) = bus.call(to, path, GET, "ss", interface, name)
    return value


def is_up(bus: DBus, uuid: str = UUID) -> bool:
    """Whether our profile claims to be up; without one, whether any connection does."""
    active = f"{NM}.Connection.Active"
    found = False
    for path in get_property(bus, NM, NM_PATH, NM, "ActiveConnections"):
        try:
            if get_property(bus, NM, path, active, "Uuid") == uuid:
                return bool(get_property(bus, NM, path, active, "State") == ACTIVATED)
        except DBusError:
            continue  # it went away between the two questions
        found = True
    if find_profile(bus, uuid) is not None or not found:
        return False
    primary = get_property(bus, NM, NM_PATH, NM, "PrimaryConnection")
    return bool(primary != NONE and get_property(bus, NM, primary, active, "State") == ACTIVATED)


def find_profile(bus: DBus, uuid: str = UUID) -> str | None:
    """The path of our profile. None: this box's network was made by hand."""
    try:
        (path,) = bus.call(
            NM, f"{NM_PATH}/Settings", f"{NM}.Settings.GetConnectionByUuid", "s", uuid
        )
    except DBusError:
        return None
    return str(path)


def reconnect_profile(bus: DBus, uuid: str = UUID) -> str:
    """Bring the connection down and up again: activating an active one does both."""
    connection = find_profile(bus, uuid)
    if connection is None:
        primary = get_property(bus, NM, NM_PATH, NM, "PrimaryConnection")
        if primary == NONE:
            raise DBusError("NetworkManager has neither our profile nor a primary connection")
        connection = str(get_property(bus, NM, primary, f"{NM}.Connection.Active", "Connection"))
    bus.call(NM, NM_PATH, f"{NM}.ActivateConnection", "ooo", connection, NONE, NONE)
    return f"NetworkManager activates {connection}"


def reset_modem(bus: DBus) -> str:
    """The modem's own reset. ModemManager loses it for some 20 s, and finds it again."""
    manager = "org.freedesktop.DBus.ObjectManager.GetManagedObjects"
    (objects,) = bus.call(MM, "/org/freedesktop/ModemManager1", manager)
    modems = [path for path, interfaces in objects.items() if f"{MM}.Modem" in interfaces]
    if not modems:
        raise DBusError("ModemManager knows no modem")
    for path in modems:
        bus.call(MM, path, f"{MM}.Modem.Reset")
    return f"ModemManager resets {', '.join(modems)}"


def reboot(bus: DBus) -> str:
    """Orderly, without asking anybody: nobody is there."""
    bus.call(LOGIND, "/org/freedesktop/login1", f"{LOGIND}.Manager.Reboot", "b", False)
    return "logind reboots"

"""NetworkManager, ModemManager and logind: the few calls that a link needs of them."""

from typing import Any, Final

from edge.link.bus import Bus, BusFault
from edge.link.profile import UUID

NM: Final = "org.freedesktop.NetworkManager"
NM_PATH: Final = "/org/freedesktop/NetworkManager"
MM: Final = "org.freedesktop.ModemManager1"
LOGIND: Final = "org.freedesktop.login1"
GET: Final = "org.freedesktop.DBus.Properties.Get"
ACTIVATED: Final = 2  # NMActiveConnectionState
NONE: Final = "/"


def get(bus: Bus, to: str, path: str, interface: str, name: str) -> Any:
    """A property, out of its variant."""
    ((_, value),) = bus.call(to, path, GET, "ss", interface, name)
    return value


def up(bus: Bus, uuid: str = UUID) -> bool:
    """Whether our profile claims to be up; without one, whether any connection does."""
    active = f"{NM}.Connection.Active"
    found = False
    for path in get(bus, NM, NM_PATH, NM, "ActiveConnections"):
        try:
            if get(bus, NM, path, active, "Uuid") == uuid:
                return bool(get(bus, NM, path, active, "State") == ACTIVATED)
        except BusFault:
            continue  # it went away between the two questions
        found = True
    if profile(bus, uuid) is not None or not found:
        return False
    primary = get(bus, NM, NM_PATH, NM, "PrimaryConnection")
    return bool(primary != NONE and get(bus, NM, primary, active, "State") == ACTIVATED)


def profile(bus: Bus, uuid: str = UUID) -> str | None:
    """The path of our profile. None: this box's network was made by hand."""
    try:
        (path,) = bus.call(
            NM, f"{NM_PATH}/Settings", f"{NM}.Settings.GetConnectionByUuid", "s", uuid
        )
    except BusFault:
        return None
    return str(path)


def reconnect(bus: Bus, uuid: str = UUID) -> str:
    """Bring the connection down and up again: activating an active one does both."""
    connection = profile(bus, uuid)
    if connection is None:
        primary = get(bus, NM, NM_PATH, NM, "PrimaryConnection")
        if primary == NONE:
            raise BusFault("NetworkManager has neither our profile nor a primary connection")
        connection = str(get(bus, NM, primary, f"{NM}.Connection.Active", "Connection"))
    bus.call(NM, NM_PATH, f"{NM}.ActivateConnection", "ooo", connection, NONE, NONE)
    return f"NetworkManager activates {connection}"


def reset_modem(bus: Bus) -> str:
    """The modem's own reset. ModemManager loses it for some 20 s, and finds it again."""
    manager = "org.freedesktop.DBus.ObjectManager.GetManagedObjects"
    (objects,) = bus.call(MM, "/org/freedesktop/ModemManager1", manager)
    modems = [path for path, interfaces in objects.items() if f"{MM}.Modem" in interfaces]
    if not modems:
        raise BusFault("ModemManager knows no modem")
    for path in modems:
        bus.call(MM, path, f"{MM}.Modem.Reset")
    return f"ModemManager resets {', '.join(modems)}"


def reboot(bus: Bus) -> str:
    """Orderly, without asking anybody: nobody is there."""
    bus.call(LOGIND, "/org/freedesktop/login1", f"{LOGIND}.Manager.Reboot", "b", False)
    return "logind reboots"

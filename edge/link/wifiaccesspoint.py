"""An access point by NetworkManager, and the units that serve who joins it.

The profile is volatile and bound to our connection to D-Bus: NetworkManager ends it by itself when
this process is gone, however that ends. It shares nothing: its method is `manual`, without
forwarding and translation of addresses; `shared` would switch both on.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from edge.core.pageaddress import ACCESS_POINT_ADDRESS, PREFIX
from edge.identity.pageaccess import AccessPointKey
from edge.link.budget import NET
from edge.link.dbus import DBus, DBusError
from edge.link.pageunits import AccessPointError, Wait, start_unit
from edge.link.services import ACTIVATED, NM, NM_PATH, NONE, get_property

UUID: Final = "6f5c3c0e-5d0e-4c6f-9d52-616363657373"  # not that of the way to the city
DEACTIVATED: Final = 4  # NMActiveConnectionState
UP_S: Final = 60.0  # a radio that was in use, on a slow board
LOOK_S: Final = 0.25


def wifi_interface(wanted: str | None, net: Path = NET) -> str:
    """The interface to use: the one that is configured, or the first with a radio.

    Raises AccessPointError.
    """
    found = sorted(path.parent.name for path in net.glob("*/phy80211"))
    if wanted is not None and wanted not in found:
        raise AccessPointError(
            f"{wanted} of link.access_point_interface has no radio; there is "
            f"{', '.join(found) or 'none at all'}"
        )
    if not found:
        raise AccessPointError("this box has no Wi-Fi: use a cable, or the USB gadget")
    return wanted or found[0]


def connection_settings(key: AccessPointKey, interface: str) -> dict[str, dict[str, Any]]:
    """Of NetworkManager, as D-Bus carries them: name -> (signature, value)."""
    address = {"address": ("s", ACCESS_POINT_ADDRESS), "prefix": ("u", PREFIX)}
    return {
        "connection": {
            "id": ("s", "kerbstone-access-point"),
            "uuid": ("s", UUID),
            "type": ("s", "802-11-wireless"),
            "interface-name": ("s", interface),
            "autoconnect": ("b", False),
        },
        "802-11-wireless": {
            "mode": ("s", "ap"),
            "ssid": ("ay", key.network.encode()),
            "band": ("s", "bg"),  # what every phone has, and every country allows
            "ap-isolation": ("i", 1),  # a phone does not reach another one
        },
        "802-11-wireless-security": {
            "key-mgmt": ("s", "wpa-psk"),
            "proto": ("as", ["rsn"]),
            "pairwise": ("as", ["ccmp"]),
            "group": ("as", ["ccmp"]),
            "psk": ("s", key.psk),
        },
        "ipv4": {
            "method": ("s", "manual"),
            "address-data": ("aa{sv}", [address]),
            "never-default": ("b", True),
        },
        "ipv6": {"method": ("s", "disabled")},
    }


class WifiAccessPoint:
    """Opens it on one interface, and closes it. `wait` sleeps for seconds."""

    def __init__(self, bus: DBus, key: AccessPointKey, interface: str, wait: Wait) -> None:
        self._bus, self._key, self._wait = bus, key, wait
        self.interface = interface
        self._active = NONE

    def open(self) -> None:
        """First what keeps phones out of the rest, then the radio, then the page. Raises
        AccessPointError, and leaves nothing open."""
        try:
            for unit in (
                f"kerbstone-door@{self.interface}.service",
                f"kerbstone-bind@{self.interface}.service",
            ):
                start_unit(self._bus, unit, self._wait)
            self._activate()
            start_unit(self._bus, f"kerbstone-page@{self.interface}.target", self._wait)
        except DBusError as error:
            self.close()
            raise AccessPointError(_reason(error)) from error
        except AccessPointError:
            self.close()
            raise

    def is_up(self) -> bool:
        """Whether NetworkManager still has it."""
        try:
            return self._state() == ACTIVATED
        except DBusError:
            return False

    def close(self) -> None:
        """Never raises: what is not done here is done when this process ends."""
        if self._active == NONE:
            return
        with suppress(DBusError):
            self._bus.call(NM, NM_PATH, f"{NM}.DeactivateConnection", "o", self._active)
        self._active = NONE

    def _activate(self) -> None:
        (device,) = self._bus.call(NM, NM_PATH, f"{NM}.GetDeviceByIpIface", "s", self.interface)
        if not get_property(self._bus, NM, NM_PATH, NM, "WirelessEnabled"):
            raise AccessPointError("Wi-Fi is switched off: `nmcli radio wifi on`, or rfkill")
        _, self._active, _ = self._bus.call(
            NM, NM_PATH, f"{NM}.AddAndActivateConnection2", "a{sa{sv}}ooa{sv}",
            connection_settings(self._key, self.interface), device, NONE,
            {"persist": ("s", "volatile"), "bind-activation": ("s", "dbus-client")},
        )  # fmt: skip
        for _ in range(int(UP_S / LOOK_S)):
            state = self._state()
            if state == ACTIVATED:
                return
            if state == DEACTIVATED:
                break
            self._wait(LOOK_S)
        raise AccessPointError(
            f"{self.interface} does not become an access point: `journalctl -u NetworkManager -u "
            "wpa_supplicant` says why; not every radio can be one"
        )

    def _state(self) -> int:
        interface = f"{NM}.Connection.Active"
        return int(get_property(self._bus, NM, self._active, interface, "State"))


def _reason(error: DBusError) -> str:
    text = str(error)
    if "AccessDenied" in text or "PermissionDenied" in text:
        return f"polkit refuses it: is 51-kerbstone-access-point.rules installed? {text}"
    return text

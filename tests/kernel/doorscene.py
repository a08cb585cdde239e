"""A guest with a radio, a phone in a network namespace with another radio, and a modem's side.

The phone is wpa_supplicant, a client of DHCP and curl in the namespace `phone`; the city is at the
other end of the interface `modem0`, in the namespace `city`. What answers on port 443 stands in for
the page (tests/kernel/guest/webserver.py): here it is shown who reaches it.
"""

import json
import re
import time
from typing import Any, Final

from tests.kernel.machine import GuestError, GuestMachine

COMMAND: Final = "/opt/kerbstone/venv/bin/kerbstone access-point"
AS_TECHNICIAN: Final = f"runuser -u technician -- {COMMAND}"
STATE: Final = "/run/kerbstone-access-point-state/state.json"
NETWORK: Final = "kerbstone-gw-17"
KEY: Final = "abcd-efgh-jkmn-pqrs"
BOX: Final = "10.213.47.1"
MODEM: Final = "192.0.2.1"  # the box, from the city
CITY: Final = "192.0.2.2"
NOBODY: Final = "000"  # what curl says for no answer
LEASE: Final = """#!/bin/sh
case $1 in
bound | renew)
    ip address replace $ip/$mask dev $interface
    test -z "$router" || ip route replace default via $router
    echo "$ip $router $dns ${opt114:-none}" >/tmp/lease
    ;;
esac
"""
WPA: Final = f"""network={{
 ssid="{NETWORK}"
 psk="{KEY}"
 key_mgmt=WPA-PSK
}}
"""


class DoorScene:
    """What people do, and what they see."""

    def __init__(self, machine: GuestMachine) -> None:
        self._machine = machine

    def run(self, command: str, timeout_s: float = 120.0) -> str:
        return self._machine.run(command, timeout_s)

    def prepare(self) -> None:
        """Two radios, a key as provisioning brings it, a technician, the modem's side."""
        self._write("/tmp/wpa.conf", WPA)
        self._write("/tmp/lease.sh", LEASE)
        key = json.dumps({"network": NETWORK, "psk": KEY})
        self.run("install -d -m 700 /var/lib/kerbstone-identity")
        self._write("/var/lib/kerbstone-identity/access-point.json", key)
        for line in (
            "chmod 755 /tmp/lease.sh",
            "useradd -G kerbstone technician",
            "useradd stranger",
            "ip link add modem0 type veth peer name city0",
            "ip netns add city",
            "ip link set city0 netns city",
            f"ip address add {MODEM}/24 dev modem0",
            "ip link set modem0 up",
            f"ip netns exec city ip address add {CITY}/24 dev city0",
            "ip netns exec city ip link set city0 up",
            f"ip netns exec city ip route add 10.213.47.0/24 via {MODEM}",
            # services that the box and the city have, beside the page
            "python3 -m http.server 22 --bind 0.0.0.0 >/dev/null 2>&1 & true",
            f"ip netns exec city python3 -m http.server 80 --bind {CITY} >/dev/null 2>&1 & true",
            "modprobe mac80211_hwsim radios=2",
            "ip netns add phone",
        ):
            self.run(line)
        self._until("iw dev | grep -c Interface", "2")
        self.run(
            "iw phy $(basename $(readlink /sys/class/net/wlan1/phy80211)) set netns name phone"
        )
        self.run("ip netns exec phone ip link set wlan1 up")
        self._until("nmcli -t -f DEVICE,STATE device | grep -c '^wlan0:disconnected'", "1")

    def _write(self, path: str, text: str) -> None:
        lines = text.rstrip("\n").split("\n")
        quoted = " ".join("'" + line.replace("'", "'\\''") + "'" for line in lines)
        self.run(f"umask 077; printf '%s\\n' {quoted} >{path}")

    def _until(self, command: str, wanted: str, within_s: float = 60.0) -> None:
        end = time.monotonic() + within_s
        while True:
            said = self.run(f"{command}; true").strip()
            if said == wanted:
                return
            if time.monotonic() > end:
                raise GuestError(f"{command}: {said!r}, and not {wanted!r}")
            time.sleep(0.5)

    def join(self) -> str:
        """The phone joins with the label's key: what it is told: address, router, names, 114."""
        self.run("rm -f /tmp/lease")
        if self.run("cat /tmp/wpa.pid 2>/dev/null; true").strip() == "":  # else it joins by itself
            # under another name than the one that NetworkManager uses
            self.run(
                "cp -n /usr/sbin/wpa_supplicant /tmp/phone-wpa; ip netns exec phone "
                "/tmp/phone-wpa -B -i wlan1 -c /tmp/wpa.conf -P /tmp/wpa.pid -f /tmp/wpa.log"
            )
        try:
            self._until("ip netns exec phone iw dev wlan1 link | grep -c ^Connected", "1", 90)
        except GuestError as error:
            log = self.run(
                f"tail -30 /tmp/wpa.log; cat {STATE}; journalctl -b --no-pager -n 60 "
                "-u kerbstone-access-point -u NetworkManager -u wpa_supplicant"
            )
            raise GuestError(f"{error}\n{log}") from error
        return self.lease("phone", "wlan1")

    def lease(self, where: str, interface: str) -> str:
        """What DHCP tells there: address, router, names, option 114."""
        udhcpc = f"busybox udhcpc -i {interface} -n -q -t 10 -O 114 -s /tmp/lease.sh"
        self.run(f"rm -f /tmp/lease; ip netns exec {where} {udhcpc}", 120)
        return self.run("cat /tmp/lease").strip()

    def plug_laptop(self) -> str:
        """The other end of the USB cable: the adapter with the address that the gadget gives it."""
        adapters = "ip -o link | grep 02:4b:53:00:00:02"
        try:
            self._until(f"{adapters} | grep -c .", "1")
        except GuestError as error:
            said = self.run(
                "lsmod | grep -E 'cdc|rndis|usbnet'; ip -o link; dmesg | tail -20; true"
            )
            raise GuestError(f"{error}\n{said}") from error
        self.run("udevadm settle --timeout=60")  # it is renamed
        name = self.run(f"{adapters}; true").split(":")[1].strip()
        self.run("ip netns add laptop")
        self.run(f"ip link set {name} netns laptop")
        self.run(f"ip netns exec laptop ip link set {name} up")
        return name

    def await_unit(self, name: str, wanted: str = "active") -> None:
        self._until(f"systemctl is-active '{name}'", wanted)

    def get(self, where: str, url: str, options: str = "") -> str:
        """Status and where it is led to, of a request from `phone`, `city` or the box (`here`)."""
        inside = "" if where == "here" else f"ip netns exec {where} "
        form = "'%{http_code} %{redirect_url}'"
        command = f"{inside}curl -sk -m 5 -o /dev/null -w {form} {options} {url}; true"
        return self.run(command).strip().splitlines()[-1]

    def page(self, where: str, url: str) -> str:
        """What the page says; the first time, it is started for that."""
        inside = "" if where == "here" else f"ip netns exec {where} "
        return self.run(f"{inside}curl -sk -m 60 {url}; true").strip()

    def look_up(self, name: str) -> list[str]:
        """Addresses that the phone is told for a name."""
        said = self.run(f"ip netns exec phone busybox nslookup -type=a {name} {BOX}; true")
        return re.findall(r"^Address: +([0-9.]+)$", said, re.MULTILINE)

    def listening(self) -> set[str]:
        """Addresses and ports that something listens on, without the two of the scene."""
        said = self.run("ss -H -lntu | awk '{print $5}'; true").split()
        return {each for each in said if not re.search(r":22$|:68$|:546$|^127\.0\.0\.53", each)}

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(f"cat {STATE}"))
        return found

    def uptime_s(self) -> float:
        return float(self.run("cat /proc/uptime").split()[0])

    def radio(self) -> str:
        """What the kernel says that it is: AP or managed."""
        found = re.search(r"type (\S+)", self.run("iw dev wlan0 info"))
        return "" if found is None else found[1]

    def await_radio(self, opened: bool, within_s: float) -> None:
        self._until("iw dev wlan0 info | grep -c 'type AP'", str(int(opened)), within_s)

    def await_open(self, opened: bool, within_s: float = 60.0) -> float:
        """Seconds until the state says so, and the unit agrees."""
        began = time.monotonic()
        while self.state()["open"] is not opened:
            if time.monotonic() - began > within_s:
                raise GuestError(f"after {within_s:.0f} s: {self.state()}")
            time.sleep(0.5)
        if not opened:
            self.await_unit("kerbstone-access-point.service", "inactive")
        return time.monotonic() - began

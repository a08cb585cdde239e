"""`python -m edge.link run | network | egress | access-point`: what these processes are made of."""

import argparse
import logging
import os
import signal
import sys
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.config.model.link import Link
from edge.core import ConfigError
from edge.core.boxfiles import find_site_file
from edge.core.signalevent import SignalEvent
from edge.core.tomltext import TomlError, parse_toml
from edge.durable.atomicwrite import hidden_name, replace_file
from edge.identity.pageaccess import read_access_point
from edge.kernelclock import KernelClock, boottime_ns
from edge.link import egress, linkoptions, profile
from edge.link.accesspointfiles import (
    AccessPointRequest,
    is_open,
    leave_request,
    read_state,
    spool_folder,
    state_folder,
)
from edge.link.accesspointholder import AccessPointHolder, HolderParts
from edge.link.daemonclient import DaemonClient
from edge.link.dbus import DBusError, SystemDBus
from edge.link.ladder import RecoveryLadder
from edge.link.linkstate import LinkStateFile
from edge.link.linkwatch import LOOK_S, LinkWatch, WatchParts, available_steps
from edge.link.modempower import ModemPower, PowerLine, SwitchedPower, UsbPortPower
from edge.link.pageunits import AccessPointError, start_page_sockets, stop_page_sockets
from edge.link.profilefiles import make_folder, sync_files
from edge.link.statusled import StatusLed
from edge.link.wifiaccesspoint import WifiAccessPoint, wifi_interface
from edge.terminal import Parser, log_faults, log_to_stderr

if TYPE_CHECKING:
    from drivers.buses.gpiobutton import GpioButton

CLAIMED: Final = Path("/var/lib/kerbstone-identity/network.json")
STATE: Final = Path("/var/lib/kerbstone-link")
SPREAD_S: Final = 1800  # see RecoveryLadder
SHOWN_S: Final = 1.0  # the LED says so late that the access point is open
KIND: Final = "run/kerbstone-network/kind"  # of the network, for those who may not read the claim
FORMER_SITE_FILES: Final = (
    Path("/etc/kerbstone/site.toml.before"),
    Path("/var/lib/kerbstone-identity/site.before.toml"),
)
"""Root's copies of the configuration before the present one: see decision 75."""
RELOAD: Final = (
    "org.freedesktop.NetworkManager",
    "/org/freedesktop/NetworkManager/Settings",
    "org.freedesktop.NetworkManager.Settings.ReloadConnections",
)

log = logging.getLogger("edge.link")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m edge.link", description=__doc__)
    parser.add_argument("--site", type=Path, default=find_site_file())
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run", help="keep the link alive, count its bytes, drive the status LED"
    )
    run.add_argument("--state", type=Path, default=STATE)
    run.add_argument("--shown", type=Path, default=Path("/run/kerbstone-link/state.json"))
    run.add_argument("--control", type=Path, default=Path("/run/kerbstone"))
    net = commands.add_parser("network", help="write the claim's profile for NetworkManager")
    net.add_argument("--claimed", type=Path, default=CLAIMED)
    net.add_argument("--root", type=Path, default=Path("/"))
    net.add_argument("--reload", action="store_true", help="NetworkManager runs: make it read")
    out = commands.add_parser("egress", help="write the addresses that the daemon may reach")
    out.add_argument("--former", type=Path, action="append", help="also the hosts of this file")
    out.add_argument("--unit", default="kerbstone.service")
    out.add_argument("--units", type=Path, default=Path("/run/systemd/system"))
    out.add_argument("--known", type=Path, default=Path("/var/lib/kerbstone-egress/known.json"))
    out.add_argument("--resolv", type=Path, default=Path("/etc/resolv.conf"))
    point = commands.add_parser("access-point", help="hold the access point open, as asked for")
    point.add_argument("--spool", type=Path, default=spool_folder())
    point.add_argument("--shown", type=Path, default=state_folder())
    given = parser.parse_args(arguments)
    log_to_stderr("%(message)s", logging.INFO)
    log_faults()
    try:
        verbs = {"run": _run, "network": _network, "egress": _egress, "access-point": _access_point}
        return verbs[given.command](given)
    except ConfigError as error:
        log.error("%s", error)
        return 1


def _run(given: argparse.Namespace) -> int:
    found = linkoptions.load_link_options(given.site)
    ended = SignalEvent()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    kind = _read_text(Path("/") / KIND).strip() or "ethernet"
    supply = _supply(found, ended)
    status_led = (
        None
        if found.status_led is None
        else StatusLed(_line(found.chip, found.status_led, on=False), KernelClock())
    )
    spread_s = zlib.crc32(_read_text(Path("/etc/machine-id")).encode()) % SPREAD_S
    bus, clock = SystemDBus(), KernelClock(mono_ns=boottime_ns)
    watch = LinkWatch(
        WatchParts(
            options=found,
            kind=kind,
            ladder=RecoveryLadder(available_steps(found, kind, supply), spread_s),
            state_file=LinkStateFile(
                given.state / "link_state",
                _read_text(Path("/proc/sys/kernel/random/boot_id")).strip(),
                clock,
            ),
            daemon=DaemonClient(given.control),
            bus=bus,
            state=given.shown,
            modem_power=supply,
            status_led=status_led,
        )
    )
    if status_led is not None:
        status_led.start()
    button = _button(found)
    started = start_page_sockets(bus, found.page_interfaces or (), lambda s: _wait(ended, s))
    while not ended.is_set():
        watch.look(clock.now().mono_ns / 1e9)
        _wait_and_show(watch, clock, ended)
    stop_page_sockets(bus, started)
    if button is not None:
        button.close()
    watch.close()
    if status_led is not None:
        status_led.close()
    bus.close()
    return 0


def _wait(ended: SignalEvent, seconds: float) -> None:
    ended.wait(seconds)  # the end of this process cuts it short


def _wait_and_show(watch: LinkWatch, clock: KernelClock, ended: SignalEvent) -> None:
    """Until the next look; whether the access point is open is shown at once."""
    began_s = clock.now().mono_ns / 1e9
    while True:
        now_s = clock.now().mono_ns / 1e9
        watch.show_access_point(is_open(read_state(state_folder()), now_s))
        if now_s - began_s >= LOOK_S or ended.wait(SHOWN_S):
            return


def _button(found: Link) -> "GpioButton | None":
    if found.button_line is None:
        return None
    from drivers.buses.gpiobutton import GpioButton

    def held() -> None:
        try:
            leave_request(spool_folder(), AccessPointRequest(action="open", by="button"))
        except OSError as error:
            log.error("the button does not open the access point: %s", error)

    try:
        return GpioButton(found.chip, found.button_line, held)
    except OSError as error:
        text = f"GPIO line {found.button_line} of {found.chip}: {error}"
        raise ConfigError(text) from error


def _access_point(given: argparse.Namespace) -> int:
    """Once there is a request; ends when the access point is closed."""
    ended = SignalEvent()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    bus, clock = SystemDBus(), KernelClock(mono_ns=boottime_ns)
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    data = b"" if folder is None else _read_text(Path(folder, "access-point.json")).encode()
    key = read_access_point(data)

    def make() -> WifiAccessPoint:
        if key is None:
            raise AccessPointError(
                "this box has no key for an access point: `sudo kerbstone-enrol access --new`"
            )
        wanted = linkoptions.load_link_options(given.site).access_point_interface
        return WifiAccessPoint(bus, key, wifi_interface(wanted), lambda s: _wait(ended, s))

    holder = AccessPointHolder(
        HolderParts(
            spool=given.spool,
            state=given.shown,
            network="" if key is None else key.network,
            make=make,
            now_s=lambda: clock.now().mono_ns / 1e9,
            wait=lambda s: _wait(ended, s),
            ended=ended.is_set,
        )
    )
    try:
        holder.run()
    finally:
        bus.close()
    return 0


def _network(given: argparse.Namespace) -> int:
    network = linkoptions.load_claimed_network(given.claimed)
    wanted = {} if network is None else profile.profile_files(network)
    changed = sync_files(given.root, wanted, profile.ALL_FILES)
    kind = given.root / KIND
    make_folder(given.root, kind.parent)
    line = f"{'ethernet' if network is None else network.kind}\n".encode()
    replace_file(kind, line, 0o644, new=hidden_name(kind), exact_mode=True)
    for name in changed:
        log.info("/%s %s", name, "written" if name in wanted else "removed")
    if given.reload and changed:
        try:
            SystemDBus().call(*RELOAD)
        except DBusError as error:
            log.error("NetworkManager does not read its profiles again: %s", error)
            return 1
    return 0


def _egress(given: argparse.Namespace) -> int:
    try:
        site = parse_toml(_read_text(given.site))
    except TomlError as error:
        raise ConfigError(f"{given.site}: {error}; `kerbstone check` says more") from error
    hosts = egress.configured_hosts(site)
    for former in given.former or FORMER_SITE_FILES:  # what comes back if the present one fails
        with suppress(TomlError):
            hosts += egress.configured_hosts(parse_toml(_read_text(former)))
    known = egress.parse_known(_read_text(given.known))
    servers = egress.nameservers(_read_text(given.resolv))
    found, failed = egress.allowed_addresses(list(dict.fromkeys(hosts)), servers, known)
    folder = given.units / f"{given.unit}.d"
    folder.mkdir(parents=True, exist_ok=True)
    text = egress.render_drop_in(found)
    drop_in = folder / egress.NAME
    if _read_text(drop_in) != text:
        replace_file(drop_in, text.encode(), 0o644, new=hidden_name(drop_in), exact_mode=True)
        log.info("%s written", drop_in)
    if found != known:
        replace_file(given.known, found.to_json().encode(), new=hidden_name(given.known))
    if closed := [name for name, each in found.names.items() if not each]:
        log.error("no address is known for %s: out of reach until the name is", ", ".join(closed))
    return 3 if failed or closed else 0  # 3: the unit asks again soon


def _supply(found: Link, ended: SignalEvent) -> ModemPower | None:
    def wait(seconds: float) -> None:
        ended.wait(seconds)  # the end of this process cuts it short

    if found.modem_power_line is not None:
        inverted = found.power_off_level == "high"
        return SwitchedPower(
            _line(found.chip, found.modem_power_line, on=True, inverted=inverted), wait
        )
    return None if found.usb is None else UsbPortPower(found.usb, wait)


def _line(chip: str, name: str, *, on: bool, inverted: bool = False) -> PowerLine:
    # the one place here that knows a driver; loaded only on boxes that have such a line
    from drivers.buses.gpiooutput import GpioOutput

    try:
        return GpioOutput(chip, name, on=on, inverted=inverted)
    except OSError as error:
        raise ConfigError(f"GPIO line {name} of {chip}: {error}") from error


def _read_text(path: Path) -> str:
    """Nothing when it is not there."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main())

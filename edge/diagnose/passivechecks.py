"""What the running daemon knows of its buses, and what is seen beside it. No wire is touched."""

import os
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from drivers.buses import i2c_trouble, serial_trouble
from drivers.buses.finding import Finding, fault, warning
from drivers.buses.host import kernel_consoles, list_names, login_on, look_up_node, read_text
from edge.config import Bus, GpioBus, I2cBus, ModbusRtuBus, SerialBus, Site
from edge.control.protocol import SOCKET_NAME
from edge.diagnose.diagnosis import PTY_PREFIX, check_lines
from edge.diagnose.exam import Exam, ExamFinding, condition_findings, split_finding
from edge.gateway.wiring import Wiring
from edge.health.issuekinds import ISSUE_KINDS
from edge.wire.contract.issues import IssueName

GPIO_CONSUMER_PREFIX: Final = "kerbstone-"  # what the daemon's GPIO lines are requested as


@dataclass(frozen=True, slots=True)
class DaemonUser:
    """As whom the daemon runs, as the system knows that user now."""

    name: str
    number: int
    groups: frozenset[int]

    @classmethod
    def of(cls, site: Site) -> "DaemonUser | None":
        """The owner of its socket; None for root, who may do all, and when it cannot be seen."""
        try:
            number = Path(site.store.run_dir, SOCKET_NAME).stat().st_uid
            who = pwd.getpwuid(number)
        except (OSError, KeyError):
            return None
        if number == 0:
            return None
        groups = os.getgrouplist(who.pw_name, who.pw_gid)
        return cls(who.pw_name, number, frozenset(groups))

    def shut_out(self, path: str) -> list[Finding]:
        """Whether a device node is closed to it."""
        found = look_up_node(path)
        try:
            stat = Path(found.path).stat()
        except OSError:
            return []
        shift = 6 if stat.st_uid == self.number else 3 if stat.st_gid in self.groups else 0
        if (stat.st_mode >> shift) & 6 == 6:
            return []
        text = f"the daemon's user {self.name} is not in the group {found.group} of {path}"
        remedy = f"usermod -aG {found.group} {self.name}, and restart the daemon"
        return [warning(text, remedy)]


def fill_from_status(exams: Sequence[Exam], status: Mapping[str, Any]) -> list[ExamFinding]:
    """Fill the exams from the daemon's status. Gives what is wrong with the gateway itself."""
    for one in exams:
        user = DaemonUser.of(one.site)
        one.wire += check_beside_daemon(one.site.buses[one.bus], user)
        devices = status.get("devices", {})
        for name in one.names:
            if name in devices:
                _device(one, name, devices[name])
            elif one.site.buses[one.bus].kind != "gpio":
                remedy = "the daemon was started with another configuration: restart the daemon"
                one.add(name, warning("the running daemon does not know this device", remedy))
        if isinstance(bus := one.site.buses[one.bus], GpioBus):
            _lines(one, bus.chip, status.get("problems", {}))
        one.finished = True
    found = (_issue(exams, issue) for issue in status.get("issues", ()))
    return [each for each in found if each is not None]


def _issue(exams: Sequence[Exam], issue: Mapping[str, Any]) -> ExamFinding | None:
    """An open issue, put with its lane or device; or given, when it is the gateway's."""
    kind, about = str(issue.get("kind")), str(issue.get("about", ""))
    make = fault if issue.get("severity") == "fault" else warning
    found = make(str(issue.get("cause", "")).rstrip("."), str(issue.get("remedy", "")).rstrip("."))
    area = ISSUE_KINDS[cast("IssueName", kind)].area if kind in ISSUE_KINDS else ""
    if area == "devices" and kind != "device_errors":
        return None  # what is said of them there says more
    whose = about.partition(" ")[0]
    for exam in exams:
        if whose and whose in exam.names:
            exam.add(whose, found)
            return None
    return None if area in ("devices", "events") else ExamFinding("", "", found)


def check_beside_daemon(bus: Bus, user: DaemonUser | None) -> list[Finding]:
    """What the machine says of a bus that the daemon has open; who may is the daemon, not we."""
    match bus:
        case SerialBus(port=port) | ModbusRtuBus(port=port):
            tty = look_up_node(port)
            if tty.path.startswith(PTY_PREFIX):
                return []
            found = serial_trouble.host_findings(
                replace(tty, usable=True), kernel_consoles(read_text(Path("/proc/cmdline"))),
                login_on(tty.number), None, list_names("/dev/serial/by-id"),
            )  # fmt: skip
            return found + (user.shut_out(port) if user else [])
        case I2cBus(path=path) if not path.startswith(i2c_trouble.SIM):
            there = replace(look_up_node(path), usable=True)
            found = i2c_trouble.host_findings(there, *i2c_trouble.host_facts(), None)
            return found + (user.shut_out(path) if user else [])
        case GpioBus(chip=chip) if chip.startswith("/"):
            return user.shut_out(chip) if user else []
    return []


def _device(exam: Exam, name: str, status: Mapping[str, Any]) -> None:
    for one in condition_findings(status.get("health", {})):
        exam.add(name, one)
    if status.get("state", "ok") != "ok":
        exam.failed[name] = split_finding(
            "fault", str(status.get("text") or f"it is {status['state']}")
        )
    elif status.get("reads", 0):
        exam.answers.add(name)
    every_s = exam.site.devices[name].every_s
    if status.get("missed", 0) > status.get("reads", 0) > 0:
        exam.add(name, warning(f"the bus is too slow for every_s = {every_s:g}: {status['missed']}"
                               f" readings left out, {status['reads']} made",
                               "read this device, or others on the bus, less often"))  # fmt: skip


def _lines(exam: Exam, chip: str, problems: Mapping[str, str]) -> None:
    """What the daemon says of its lines, and who else holds one of them."""
    wiring = Wiring.of(exam.site)
    for spec in wiring.lines.get(exam.bus, []):
        if problem := problems.get(f"line {spec.line}"):
            exam.add(
                wiring.lined[spec.line].source.partition(".")[0], split_finding("fault", problem)
            )
    if chip.startswith("sim:") or os.access(chip, os.R_OK | os.W_OK):
        check_lines(exam, chip, GPIO_CONSUMER_PREFIX)
    else:  # it is not open to us: then the daemon's word is all there is
        exam.answers.update(name for name in exam.names if name not in exam.known)

"""What the running daemon knows of its buses, and what is seen beside it. No wire is touched."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from drivers.buses import i2c_trouble, serial_trouble
from drivers.buses.finding import Finding, fault, warning
from drivers.buses.host import kernel_consoles, list_names, login_on, look_up_node, read_text
from edge.config import Bus, GpioBus, I2cBus, ModbusRtuBus, SerialBus
from edge.diagnose.checks import check_of_issue
from edge.diagnose.diagnosis import PTY_PREFIX, check_lines
from edge.diagnose.exam import Exam, Failure, condition_findings, split_finding
from edge.diagnose.heldvalues import held_findings
from edge.diagnose.issueresults import POINTER
from edge.gateway.wiring import Wiring
from edge.health.openissues import whose_issue

GPIO_CONSUMER_PREFIX: Final = "kerbstone-"  # what the daemon's GPIO lines are requested as


@dataclass(frozen=True, slots=True)
class HeldValues:
    """What the daemon's answer to `live` has of each device; `why` there is none."""

    devices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    why: str = ""


def fill_from_status(
    exams: Sequence[Exam], status: Mapping[str, Any], held: HeldValues | None = None
) -> list[Mapping[str, Any]]:
    """Fill the exams from the daemon's status and from the values that it holds. Gives its open
    issues that are of none of them."""
    held = held or HeldValues()
    points = Wiring.of(exams[0].site).points() if exams and held.devices else {}
    for one in exams:
        one.unread = held.why
        bus = one.site.buses[one.bus]
        one.add_wire(check_beside_daemon(bus), "bus_port")
        devices = status.get("devices", {})
        for name in one.names:
            if name in devices:
                _device(one, name, devices[name])
                if name in held.devices and name in one.answers:
                    one.read.add(name)
                    keys = [point.key for point in points.get(name, ())]
                    for finding in held_findings(held.devices[name], keys):
                        one.add(name, finding, "device_values")
            elif bus.kind != "gpio":
                remedy = "the daemon was started with another configuration: restart the daemon"
                unknown = warning("the running daemon does not know this device", remedy)
                one.add(name, unknown, "site_in_use")
        if isinstance(bus, GpioBus):
            _lines(one, bus.chip, status.get("problems", {}))
        one.finished = True
    told = status.get("problems", {})  # of lines: each stands with its lane
    return [
        issue
        for issue in status.get("issues", ())
        if not (issue.get("kind") == "line_closed" and issue.get("about") in told)
        and not _put_issue(exams, issue)
    ]


def _put_issue(exams: Sequence[Exam], issue: Mapping[str, Any]) -> bool:
    """An open issue, put with its lane or device; False when it is the gateway's, or of one that
    nobody asked about."""
    kind, about = str(issue.get("kind")), str(issue.get("about", ""))
    whose, check = whose_issue(kind, about), check_of_issue(kind)
    if not whose or check is None:
        return False
    make = fault if issue.get("severity") == "fault" else warning
    cause, remedy = (str(issue.get(key, "")).rstrip(".") for key in ("cause", "remedy"))
    for exam in exams:
        if kind == "bus_fails" and whose == exam.bus:
            if not exam.blames_bus:
                exam.add("", make(cause.removeprefix(f"{about}: "), POINTER.sub("", remedy)), check)
            return True
        if kind != "bus_fails" and whose in exam.names:
            behind = exam.blames_bus and check == "device_answers"
            if not (behind or exam.is_blamed(whose, check)):  # what is said there says more
                exam.add(whose, make(cause, POINTER.sub("", remedy)), check)
            return True
    return False


def check_beside_daemon(bus: Bus) -> list[Finding]:
    """What the machine says of a bus that the daemon has open; who may is the daemon, not we."""
    match bus:
        case SerialBus(port=port) | ModbusRtuBus(port=port):
            tty = look_up_node(port)
            if tty.path.startswith(PTY_PREFIX):
                return []
            return serial_trouble.host_findings(
                replace(tty, usable=True), kernel_consoles(read_text(Path("/proc/cmdline"))),
                login_on(tty.number), None, list_names("/dev/serial/by-id"),
            )  # fmt: skip
        case I2cBus(path=path) if not path.startswith(i2c_trouble.SIM):
            there = replace(look_up_node(path), usable=True)
            return i2c_trouble.host_findings(there, *i2c_trouble.host_facts(), None)
    return []


def _device(exam: Exam, name: str, status: Mapping[str, Any]) -> None:
    for one in condition_findings(status.get("health", {})):
        exam.add(name, one, "device_reports")
    if (failure := told_failure(status)) is not None:
        exam.failed[name] = failure
    elif status.get("reads", 0):
        exam.answers.add(name)
        exam.paced.add(name)
    every_s = exam.site.devices[name].every_s
    if status.get("missed", 0) > status.get("reads", 0) > 0:
        exam.add(name, warning(f"the bus is too slow for every_s = {every_s:g}: {status['missed']}"
                               f" readings left out, {status['reads']} made",
                               "read this device, or others on the bus, less often"),
                 "device_pace")  # fmt: skip


def told_failure(status: Mapping[str, Any]) -> Failure | None:
    """Why a device does not answer, by what the daemon says of it; None: it does."""
    state = str(status.get("state", "ok"))
    if state == "ok":
        return None
    return Failure.told(str(status.get("text") or f"it is {state}"), state)


def _lines(exam: Exam, chip: str, problems: Mapping[str, str]) -> None:
    """What the daemon says of its lines, and who else holds one of them."""
    wiring = Wiring.of(exam.site)
    for spec in wiring.lines.get(exam.bus, []):
        if problem := problems.get(f"line {spec.line}"):
            name = wiring.lined[spec.line].source.partition(".")[0]
            exam.add(name, split_finding("fault", problem), "gpio_lines")
    if chip.startswith("sim:") or os.access(chip, os.R_OK | os.W_OK):
        check_lines(exam, chip, GPIO_CONSUMER_PREFIX)
    else:  # it is not open to us: then the daemon's word is all there is
        exam.answers.update(name for name in exam.names if name not in exam.known)

"""What the doctor can tell somebody to whom the site file is closed: a technician who is not root.

The running gateway, its devices and lanes, the board and the clock are looked at as always. Of all
the rest is said why nobody looked.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from edge.acquire.clock import SystemClock
from edge.config import Store
from edge.control.handover import find_hand_over
from edge.diagnose.checks import ALONE, CHECKS, CheckId, CheckResult, fault, passed, unchecked, warn
from edge.diagnose.daemonlink import daemon_checks, link_results, runs_result
from edge.diagnose.exam import BEHIND, FALLBACK_REMEDIES, condition_findings
from edge.diagnose.examination import CheckStep, Tick
from edge.diagnose.gatewaychecks import OWN_WORD, own_word_results
from edge.diagnose.lanechecks import LANES, lane_results
from edge.diagnose.modelchecks import told_model_results
from edge.diagnose.outboxchecks import OUTBOX, outbox_results, told_outbox
from edge.diagnose.passivechecks import told_failure
from edge.diagnose.wholeway import box_steps
from edge.health.openissues import whose_issue

DEVICES: Final[tuple[CheckId, ...]] = ("device_answers", "device_reports")


def steps_without_site(
    file: Path, status: Mapping[str, Any] | None, silent: str, names: Sequence[str], root: Path
) -> list[CheckStep]:
    """`status` None: no daemon runs, or `silent` says why it could not be asked. `names`: of the
    devices and lanes that are looked at; empty: all."""
    closed = f"the site file {file} is not open to you: use sudo"

    def runs(tick: Tick) -> Iterable[CheckResult]:
        handed_over = None if status is not None else find_hand_over(Path(Store().dir))
        return [runs_result(status, silent, handed_over)]

    steps = [
        CheckStep("gateway", ("gateway_runs",), runs),
        CheckStep("load", OWN_WORD, lambda tick: own_word_results(status, silent or ALONE)),
        *box_steps(Path(Store().dir), SystemClock(root=root), root),
    ]
    if status is not None:
        steps += _told_steps(status, names)
    else:
        alone = [unchecked(check, silent or ALONE) for check in ("link_up", "receipt")]
        steps.append(CheckStep("link", ("link_up", "receipt"), lambda tick: alone))
    said = {check for step in steps for check in step.checks}
    left: list[CheckId] = [check for check in CHECKS if check not in said]
    steps.append(
        CheckStep("closed", left, lambda tick: [unchecked(check, closed) for check in left])
    )
    return steps


def _told_steps(status: Mapping[str, Any], names: Sequence[str]) -> list[CheckStep]:
    lanes = [name for name in status.get("lanes", {}) if not names or name in names]

    def outbox() -> Iterable[CheckResult]:
        return outbox_results(told_outbox(status), daemon=True)

    return [
        CheckStep("outbox", OUTBOX, lambda tick: outbox()),
        CheckStep("models", ("models",), lambda tick: told_model_results(status)),
        CheckStep("lanes", LANES, lambda tick: lane_results(status, lanes)),
        CheckStep("link", daemon_checks(), lambda tick: link_results(status, protocol="")),
        CheckStep("devices", DEVICES, lambda tick: device_results(status, names)),
    ]


def device_results(status: Mapping[str, Any], names: Sequence[str]) -> Iterator[CheckResult]:
    """As the gateway tells of its devices. A bus that fails is in its list of open issues."""
    buses = {
        whose_issue("bus_fails", str(issue.get("about")))
        for issue in status.get("issues", ())
        if issue.get("kind") == "bus_fails"
    }
    for name, device in status.get("devices", {}).items():
        bus = str(device.get("bus"))
        if names and not {name, bus} & {*names}:
            continue
        about, failure = f"{bus}/{name}", told_failure(device)
        if failure is not None and bus in buses:
            yield unchecked("device_answers", f"{BEHIND} {bus} is cleared", about)
        elif failure is not None:
            found = failure.finding
            remedy = found.remedy or FALLBACK_REMEDIES["device_answers"]
            yield fault("device_answers", found.sentence, remedy, about)
        elif device.get("reads", 0):
            yield passed("device_answers", "", about)
        reported = [one for one in condition_findings(device.get("health", {}))]
        wrong = [one for one in reported if one.severity != "note"]
        for one in wrong:
            remedy = one.remedy or FALLBACK_REMEDIES["device_reports"]
            yield warn("device_reports", one.sentence, remedy, about)
        if not wrong and device.get("reads", 0):
            yield passed("device_reports", "; ".join(one.sentence for one in reported), about)

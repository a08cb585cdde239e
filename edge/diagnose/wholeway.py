"""All that the doctor looks at beside the wires, as steps: from the site file to the broker."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import drivers
from edge.acquire.clock import SystemClock
from edge.config import Problem, Site, outdated_keys, serial_warnings, site_warnings
from edge.control.handover import find_hand_over
from edge.core import ConfigError
from edge.diagnose.boxchecks import BOX, CLOCK, box_results, clock_results, read_clock
from edge.diagnose.brokersteps import BrokerVisit, broker_steps, own_files
from edge.diagnose.checks import ALONE, NO_ANSWER, CheckId, CheckResult, unchecked
from edge.diagnose.daemonlink import runs_result
from edge.diagnose.daemonuser import DaemonUser
from edge.diagnose.examination import MODELS_S, CheckStep, Tick
from edge.diagnose.filechecks import (
    bus_right_results,
    read_secrets,
    secret_results,
    store_results,
)
from edge.diagnose.gatewaychecks import OWN_WORD, in_use_result, own_word_results, site_results
from edge.diagnose.lanechecks import LANES, lane_results
from edge.diagnose.modelchecks import model_results, told_model_results
from edge.diagnose.outboxchecks import OUTBOX, outbox_results, read_outbox, told_outbox
from edge.durable.timelimit import GLANCE_S
from edge.gateway.calibrationsetup import EXPIRED, expiring_certificates
from edge.gateway.linebudget import line_warnings
from edge.health.boxalarms import read_box
from edge.health.kernelfiles import ROOT
from edge.kernelclock import boottime_ns, discipline


@dataclass(frozen=True, slots=True)
class WholeWay:
    """What the doctor knows when he begins. `status` None: no daemon runs, or `silent` says why it
    could not be asked. `user` is the daemon's, None: root, or ourselves. `barred` says why there
    must be no login at the broker; empty: there may be one."""

    site: Site
    status: Mapping[str, Any] | None
    silent: str
    user: DaemonUser | None
    buses: Sequence[str]
    lanes: Sequence[str]
    barred: Callable[[], str]
    root: Path = ROOT


def make_steps(way: WholeWay, wanted: frozenset[CheckId]) -> list[CheckStep]:
    """Those of them that answer a check that is wanted."""
    clock = SystemClock(root=way.root)
    why = NO_ANSWER if way.silent else ALONE
    visit = BrokerVisit(way.site, way.status, way.barred, clock.now(), clock.wrong, way.root, why)
    box = box_steps(Path(way.site.store.dir), clock, way.root, status=way.status)
    steps = [*_gateway_steps(way, clock), *box, *broker_steps(visit, wanted)]
    return [step for step in steps if wanted & {*step.checks}]


def _gateway_steps(way: WholeWay, clock: SystemClock) -> list[CheckStep]:
    status, site = way.status, way.site
    why = NO_ANSWER if way.silent else ALONE

    def outbox(tick: Tick) -> Iterable[CheckResult]:
        if way.silent:
            return [unchecked(check, NO_ANSWER) for check in OUTBOX]
        facts = read_outbox(site) if status is None else told_outbox(status)
        return outbox_results(facts, daemon=status is not None)

    def file(tick: Tick) -> Iterable[CheckResult]:
        # a gateway that runs has them in its list of open issues
        ended = expiring_certificates(site, clock.now(), EXPIRED) if status is None else []
        return site_file_results(site, ended)

    def models(tick: Tick) -> Iterable[CheckResult]:
        tick("models: loading each")
        return model_results(site) if status is None else told_model_results(status)

    def runs(tick: Tick) -> Iterable[CheckResult]:
        handed_over = None if status is not None else find_hand_over(Path(site.store.dir))
        return [runs_result(status, way.silent, handed_over)]

    def folders(tick: Tick) -> Iterable[CheckResult]:
        tick(f"the disk of {site.store.dir}")
        return store_results(site, way.user)

    def secrets(tick: Tick) -> Iterable[CheckResult]:
        tls, _ = own_files(site, way.root)
        who = "this user" if way.user is None else way.user.name
        return secret_results(read_secrets(site, tls, way.user), who)

    return [
        CheckStep("gateway", ("gateway_runs",), runs),
        CheckStep("site file", ("site_file",), file),
        CheckStep("in use", ("site_in_use",), lambda tick: [in_use_result(site, status, why)]),
        CheckStep("load", OWN_WORD, lambda tick: own_word_results(status, why)),
        CheckStep(
            "ports", ("bus_rights",), lambda tick: bus_right_results(site, way.buses, way.user)
        ),
        CheckStep("folders", ("store_rights",), folders, GLANCE_S),
        CheckStep("secrets", ("secret_files",), secrets),
        CheckStep("outbox", OUTBOX, outbox),
        CheckStep("models", ("models",), models, MODELS_S),
        CheckStep("lanes", LANES, lambda tick: lane_results(status, way.lanes, why)),
    ]


def box_steps(
    store: Path, clock: SystemClock, root: Path, status: Mapping[str, Any] | None = None
) -> list[CheckStep]:
    """Board, memory, card and clock; `store` is the folder of the outbox."""
    told = None if status is None else status.get("clock", {}).get("unsynced_s")
    unsynced_s = boottime_ns() / 1e9 if told is None else float(told)

    def box(tick: Tick) -> Iterable[CheckResult]:
        tick(f"the disk of {store}")
        return box_results(read_box(_there(store), root))

    def time(tick: Tick) -> Iterable[CheckResult]:
        return clock_results(read_clock(clock, discipline(), unsynced_s, root))

    return [CheckStep("box", BOX, box, GLANCE_S), CheckStep("clock", CLOCK, time)]


def site_file_results(site: Site, more: Sequence[Problem] = ()) -> Iterable[CheckResult]:
    """What `kerbstone check` warns of, and `more`."""
    built: dict[str, object] = {}
    build: Callable[..., object] = drivers.build
    for name, device in site.devices.items():
        try:
            built[name] = build(
                device.driver, None, device.options, device.points or (), backwards=device.reversed
            )
        except ConfigError:
            continue  # the wires say so
    warnings = [
        *site_warnings(site),
        *serial_warnings(site, drivers.catalogue()),
        *line_warnings(site, built),
        *more,
    ]
    return site_results(warnings, list(outdated_keys(site)))


def _there(folder: Path) -> Path:
    """The folder, or the one above it that is there already."""
    return next((each for each in (folder, *folder.parents) if os.access(each, os.F_OK)), folder)

"""The part of the examination that goes to the broker: which files it uses, how far it may go, and
in which order.

As this gateway nobody may log in but its daemon while that runs: the broker would throw the daemon
off. The same holds for a gateway that runs elsewhere, so from a desk there is a login only when
somebody asks for it.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from edge.config import Site
from edge.core import ConfigError, Stamp
from edge.core.boxfiles import HANDED_SITE_FILE, OWN_SITE_FILE, SIGNED_SITE_FILE
from edge.diagnose.brokerchecks import (
    LOGIN,
    WAY,
    own_certificate_result,
    way_results,
)
from edge.diagnose.brokerlogin import log_in
from edge.diagnose.brokerway import BrokerWay, walk
from edge.diagnose.checks import ALONE, CheckId, CheckResult, fault, passed, unchecked
from edge.diagnose.daemonlink import link_results
from edge.diagnose.egresschecks import egress_networks, egress_result
from edge.diagnose.examination import BROKER_S, CheckStep, Tick
from edge.diagnose.loginchecks import login_results
from edge.durable.filelock import FolderLock
from edge.durable.sqlitefile import in_use
from edge.gateway.uplinksetup import TlsFiles, find_tls_files, make_brokers
from edge.health.kernelfiles import ROOT
from edge.outbox.database import DATABASE_NAME
from edge.uplink.broker import Broker, make_broker
from edge.uplink.certificatedates import certificate_ends_s
from edge.wire import Topics

FALLBACK: Final = "a fallback: "
SUDO: Final = "only root may read it: use sudo"
RUNNING: Final = "a gateway runs on this machine, and a login would throw it off the broker"
GONE: Final = "another box has gone on in its place, and a login would throw that one off"
ELSEWHERE: Final = (
    "this machine is not known to be the gateway: a login would throw off one that runs elsewhere; "
    "use --connect if none does"
)


@dataclass(frozen=True, slots=True)
class UplinkParts:
    """Brokers, and the files that go with them. `missing` says why a login cannot be tried."""

    brokers: Sequence[Broker]
    fresh: Callable[[int], Broker]  # the same again, by its place: with a context of its own
    tls: TlsFiles
    results: Sequence[CheckResult]
    missing: str = ""


def own_files(site: Site, root: Path = ROOT) -> tuple[TlsFiles, str]:
    """What the daemon uses; where this process is not handed its identity, the daemon's copy, or
    the original. And why it cannot be had, where there is one."""
    handed, kept = (root / str(each.parent)[1:] for each in (HANDED_SITE_FILE, SIGNED_SITE_FILE))
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    folders = [*([] if given is None else [given]), str(handed), str(kept / "current")]
    for folder in folders:
        found = find_tls_files(site, {"CREDENTIALS_DIRECTORY": folder})
        if found != TlsFiles():
            return found, ""
    uplink = site.uplink
    wanted = uplink.url.startswith("mqtts:") and not uplink.username
    hidden = kept.is_dir() and not os.access(kept, os.R_OK | os.X_OK)
    return TlsFiles(), f"the identity in {kept}: {SUDO}" if wanted and hidden else ""


def read_parts(site: Site, floor_ns: Callable[[], int | None], root: Path = ROOT) -> UplinkParts:
    """Load what the daemon loads. Where something cannot be used, the way is tried without it."""
    tls, hidden = own_files(site, root)
    names = [str(one) for one in (tls.ca, tls.cert, tls.key, site.uplink.password_file) if one]
    closed = [name for name in names if _is_closed(Path(name))]
    why = hidden or (f"{', '.join(closed)}: {SUDO}" if closed and os.geteuid() else "")
    if not why:
        try:
            brokers = make_brokers(site, floor_ns, tls)
        except ConfigError as error:
            remedy = "Put the right file there, or correct its name in the site file"
            wrong = fault("uplink_files", str(error), remedy)
            return _bare(site, tls, wrong, "first: uplink_files")
        seen = ", ".join(names) or "no file is needed"
        return UplinkParts(
            brokers,
            lambda number: make_brokers(site, floor_ns, tls)[number],
            tls,
            [passed("uplink_files", seen)],
        )
    return _bare(site, tls, unchecked("uplink_files", why), why)


def _is_closed(file: Path) -> bool:
    """It is there, or may be: it is in a folder that is closed to us."""
    try:
        file.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return not os.access(file, os.R_OK)


def _bare(site: Site, tls: TlsFiles, result: CheckResult, why: str) -> UplinkParts:
    """Without what only a login needs."""

    def fresh(number: int) -> Broker:
        uplink, ca = site.uplink, tls.ca
        url, gw = uplink.urls[number], site.place.gateway
        if ca is not None and url.startswith("mqtts:"):
            with suppress(ConfigError):
                return make_broker(url, gw, ca=ca, proxy=uplink.proxy)
        return make_broker(url, gw, proxy=uplink.proxy)

    brokers = [fresh(number) for number in range(len(site.uplink.urls))]
    return UplinkParts(brokers, fresh, tls, [result], why)


def is_this_box(site: Site, file: Path) -> bool:
    """Whether this machine is the gateway: its file lies where a box has it, or an outbox is here
    already."""
    ours = (OWN_SITE_FILE, SIGNED_SITE_FILE, HANDED_SITE_FILE)
    return file in ours or os.access(Path(site.store.dir) / DATABASE_NAME, os.F_OK)


def is_held(site: Site) -> bool:
    """Whether a process has the folders or the outbox: a gateway that is starting does not answer
    yet. Raises OSError where that cannot be seen."""
    if any(FolderLock(Path(each)).is_held() for each in (site.store.run_dir, site.store.dir)):
        return True
    with suppress(FileNotFoundError):
        return in_use(Path(site.store.dir) / DATABASE_NAME)
    return False


@dataclass(frozen=True, slots=True)
class BrokerVisit:
    """How far the doctor may go. `status` is that of the running daemon; `barred` says why there
    must be no login; empty: there may be one."""

    site: Site
    status: Mapping[str, Any] | None
    barred: Callable[[], str]
    now: Stamp
    floor_ns: Callable[[], int | None] = field(default=lambda: None)
    root: Path = ROOT
    untold: str = ALONE  # why the daemon says nothing


def broker_steps(visit: BrokerVisit, wanted: frozenset[CheckId]) -> list[CheckStep]:
    """A step for each broker, and one for what the daemon knows."""
    steps: list[CheckStep] = []
    if visit.status is not None:
        status, protocol = visit.status, visit.site.uplink.protocol
        told: tuple[CheckId, ...] = (*LOGIN, "link_up", "receipt")
        steps.append(CheckStep("link", told, lambda tick: link_results(status, protocol=protocol)))
    else:
        alone = [unchecked(each, visit.untold) for each in _daemon_only()]
        steps.append(CheckStep("link", _daemon_only(), lambda tick: alone))
    if not wanted & {*WAY, *LOGIN, "uplink_files"}:
        return steps
    parts = read_parts(visit.site, visit.floor_ns, visit.root)
    steps.append(CheckStep("files", ("uplink_files",), lambda tick: parts.results))
    login = visit.status is None and bool(wanted & {*LOGIN})
    one_login = threading.Lock()  # two brokers of one cluster would throw each other's out
    for number in range(len(parts.brokers)):
        steps.append(_way_step(visit, parts, number, one_login if login else None))
    return steps


def _daemon_only() -> tuple[CheckId, ...]:
    return "link_up", "receipt"


def _way_step(
    visit: BrokerVisit,
    parts: UplinkParts,
    number: int,
    one_login: AbstractContextManager[bool] | None,
) -> CheckStep:
    """`one_login`: held while there is one; None: there is to be none."""
    way = BrokerWay(parts.brokers[number])
    about = str(way.broker)

    def so_far() -> Iterator[CheckResult]:
        for each in _way(visit, parts, way):
            yield _milder(each) if number else each

    def work(tick: Tick) -> Iterator[CheckResult]:
        walk(way, lambda: parts.fresh(number), visit.floor_ns(), tick)
        yield from so_far()
        if one_login is None:
            return
        blocked = [each.check for each in way_results(way, visit.now) if each.outcome == "fault"]
        why = visit.barred() or parts.missing or (f"first: {blocked[0]}" if blocked else "")
        if why:
            for check in LOGIN:
                yield unchecked(check, why, about)
            return
        tick(f"a login at {about}")
        with one_login:
            yield from _login(visit, parts, number)

    checks = WAY if one_login is None else (*WAY, *LOGIN)
    limit_s = BROKER_S * len(parts.brokers)
    return CheckStep(f"broker {about}", checks, work, limit_s, so_far)


def _login(visit: BrokerVisit, parts: UplinkParts, number: int) -> Iterator[CheckResult]:
    about = str(parts.brokers[number])
    place, uplink = visit.site.place, visit.site.uplink
    topics = Topics(uplink.prefix, place.id, place.gateway)
    asked = [topics.commands, topics.reconnect_spread]
    if uplink.confirm == "platform":
        asked.insert(0, topics.receipt)
    found = asyncio.run(log_in(parts.fresh(number), topics, place.gateway, asked))
    if found.lost is not None and (why := visit.barred()):  # it has started meanwhile
        yield from (unchecked(check, why, about) for check in LOGIN)
        return
    for each in login_results(found, confirm=uplink.confirm):
        yield _milder(each) if number else each


def _way(visit: BrokerVisit, parts: UplinkParts, way: BrokerWay) -> Iterator[CheckResult]:
    ends_s = None
    if parts.tls.cert is not None:
        with suppress(OSError, ValueError):  # `uplink_files` says so
            ends_s = certificate_ends_s(parts.tls.cert)
    own = own_certificate_result(ends_s, visit.now)
    for each in way_results(way, visit.now):
        if each.check != "client_certificate":
            yield each
        elif parts.missing:  # what was refused is that we had none
            yield unchecked("client_certificate", parts.missing, each.about)
        elif own is not None and not each.is_wrong:
            yield replace(own, about=each.about)
        elif parts.tls.cert is None and not each.is_wrong:
            yield unchecked("client_certificate", "no certificate is configured", each.about)
        else:
            yield each
    yield egress_result(way.addresses, egress_networks(visit.root), str(way.broker))


def _milder(result: CheckResult) -> CheckResult:
    """A fallback that fails keeps no values away while another broker takes them."""
    if result.outcome != "fault":
        return result
    return replace(result, outcome="warning", cause=f"{result.cause} (It is a fallback.)")

"""What is wrong with devices and lines now, and with the buses that they share. Nothing is kept."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from msgspec import UNSET, UnsetType

from edge.acquire.badpoints import MEANT_REASONS
from edge.core import Reason
from edge.core.humanize import count_text, percent_text, span_text
from edge.core.remedies import MILD_CONDITIONS, REMEDIES, TEMPORARY_REASONS, split_remedy
from edge.gateway.issuefindings import PolledState, as_instruction
from edge.health.countergrowth import HOUR_NS
from edge.health.openissues import IssueFinding
from edge.wire.contract.issues import IssueName

FAILING_SHARE: Final = 0.1  # of a device's reads of the last hour
OFTEN_AWAY: Final = 3  # times in an hour
FAILED_READS: Final = 2  # in a row, from which on a device does not answer
BUSY_READS: Final = 6  # the same for one that says that it needs time
SOON_NS: Final = 300_000_000_000  # a device that is read less often has lost much by one read
BAD_NS: Final = 60_000_000_000  # a value may be impossible for a moment
SHOWN_POINTS: Final = 6  # of those without a value
BAD_PERIODS: Final = 2  # or for some reads
SHARED_BY: Final = 2  # devices, from which on their bus is named in their place
SHARED_REMEDY: Final = "check first what they share: supply, cable, settings"
OF_ONE: Final = re.compile(r"\bits\b")
BUS_REASONS: Final = frozenset({Reason.SILENT, Reason.CRC})  # of wires, supply and settings


def device_findings(
    buses: Mapping[str, Sequence[PolledState]],
    problems: Mapping[str, str],
    failing: Mapping[str, float] | UnsetType,
    now_ns: int,
) -> Iterator[IssueFinding]:
    """`problems` by device or line; `failing`: the share of failed reads of the last hour."""
    for bus, devices in buses.items():
        shared = _shared(bus, devices, problems)
        if shared is not None:
            yield shared
        told = shared is not None and not shared.unknown
        back_ns = max((at for device in devices for at in device.returns), default=0)
        for device in devices:
            if not told:
                yield from _failures(device, problems, failing, back_ns, now_ns)
            yield from _settling(device, now_ns)
            yield from _bad_values(device, now_ns)
            reported = [text for word, text in device.health.items() if word not in MILD_CONDITIONS]
            if reported:
                cause = f"{device.name} reports: {'; '.join(reported)}"
                yield IssueFinding("device_reports", device.name, cause)
            elif not device.reads:  # it has not said anything yet
                yield IssueFinding("device_reports", device.name, unknown=True)
    for what, text in problems.items():
        if what.startswith("line "):
            yield _fails("line_closed", what, None, text)


def _shared(
    bus: str, devices: Sequence[PolledState], problems: Mapping[str, str]
) -> IssueFinding | None:
    """That nobody on a bus answers is the fault of the bus, or of what its devices share."""
    failed = [(each.reason, each.text or problems.get(each.name, "")) for each in devices]
    unasked = any(_is_unasked(device) for device in devices)
    answers = any(device.reason is None and device.reads for device in devices)
    if answers or not (unasked or is_of_bus(failed)):
        return None
    about, names = f"bus {bus}", ", ".join(device.name for device in devices)
    if unasked or any(_may_pass(device) for device in devices):
        return IssueFinding("bus_fails", about, unknown=True)
    said = [split_remedy(text, reason) for reason, text in failed]
    causes = {cause for cause, _ in said}
    what = causes.pop() if len({text for _, text in failed}) == 1 else ""
    what = what or f"none of its {len(devices)} devices answers"
    remedy = as_instruction(shared_remedy([each for _, each in said]))
    hint = f"`kerbstone doctor {bus}` says more."
    return IssueFinding(
        "bus_fails", about, f"{about}: {what}: no values of {names}", f"{remedy} {hint}"
    )


def is_of_bus(failed: Collection[tuple[Reason | None, str]]) -> bool:
    """Whether the bus is blamed, or what its devices share, by why each of them does not answer
    and what it says of it. The gateway's status and the doctor blame the same."""
    one_text = len({text for _, text in failed}) == 1
    own = BUS_REASONS | {Reason.BUSY} if one_text else BUS_REASONS  # of a port, in one text
    return len(failed) >= SHARED_BY and all(reason in own for reason, _ in failed)


def shared_remedy(remedies: Collection[str]) -> str:
    """What to do where all devices of a bus fail: what each of them says, unless that is of one
    device ("its supply"); the gateway's status and the doctor say the same."""
    only = next(iter(remedies), "") if len({*remedies}) == 1 else ""
    return only if only and OF_ONE.search(only) is None else SHARED_REMEDY


def _failures(
    device: PolledState,
    problems: Mapping[str, str],
    failing: Mapping[str, float] | UnsetType,
    back_ns: int,
    now_ns: int,
) -> Iterator[IssueFinding]:
    """Of one device that does not answer, or often not. `back_ns`: when one of its bus came back:
    what failed before that may have been the bus."""
    ratio = 0.0 if failing is UNSET else failing.get(device.name, 0.0)
    text = problems.get(device.name)
    if text is None and device.reason not in (None, *TEMPORARY_REASONS):
        text = device.text or f"it is {device.reason}"
    waits = device.failed_ns < back_ns or _may_pass(device)
    if text is not None and device.reason is not None and waits:
        yield IssueFinding("device_fails", device.name, unknown=True)
    elif text is not None:
        yield _fails("device_fails", device.name, device.reason, text)
    elif _is_unasked(device):
        yield IssueFinding("device_fails", device.name, unknown=True)
        yield IssueFinding("device_errors", device.name, unknown=True)
    elif ratio >= FAILING_SHARE and _was_away(device, now_ns):
        yield IssueFinding("device_errors", device.name, unknown=True)
    elif ratio >= FAILING_SHARE:
        yield IssueFinding(
            "device_errors",
            device.name,
            f"{percent_text(ratio)} of the reads of {device.name} failed in the last hour",
        )
    elif failing is UNSET:  # the reads are not counted yet
        yield IssueFinding("device_errors", device.name, unknown=True)


def _settling(device: PolledState, now_ns: int) -> Iterator[IssueFinding]:
    """A warm-up is no issue; one that does not end is. What is open stays so until it ends."""
    since_ns, reason, name = device.unsettled_since_ns, device.unsettled, device.name
    if since_ns is None or reason is None:
        if device.reason is not None or not device.reads:  # nobody can tell
            yield IssueFinding("device_unsettled", name, unknown=True)
    elif now_ns - since_ns < _settle_limit_ns(device, reason):
        yield IssueFinding("device_unsettled", name, unknown=True)
    else:
        for_s = span_text((now_ns - since_ns) / 1e9)
        cause = f"{name} has been warming up for {for_s}, which is too long"
        if reason is not Reason.WARMUP:
            cause = f"{name} has answered for {for_s} without a single value ({reason})"
        remedy = "" if reason in TEMPORARY_REASONS else as_instruction(REMEDIES.get(reason, ""))
        yield IssueFinding("device_unsettled", name, cause, remedy)


def _settle_limit_ns(device: PolledState, reason: Reason) -> int:
    """What time alone does not mend has no time to settle."""
    if reason in MEANT_REASONS:
        return device.settle_limit_ns
    return min(device.settle_limit_ns, _bad_limit_ns(device))


def _bad_values(device: PolledState, now_ns: int) -> Iterator[IssueFinding]:
    """Of a device that has other values. A moment is no issue; what is open stays until it ends."""
    if device.reason is not None or not device.reads:  # nobody can tell
        yield IssueFinding("values_bad", device.name, unknown=True)
        return
    if not device.bad or device.unsettled not in (None, Reason.WARMUP):
        return  # it has none at all: that is told as such
    limit_ns = _bad_limit_ns(device)
    lasting = {key: b.reason for key, b in device.bad.items() if now_ns - b.since_ns >= limit_ns}
    if not lasting:
        yield IssueFinding("values_bad", device.name, unknown=True)
        return
    reason = next(iter(lasting.values()))
    keys = [key for key, why in lasting.items() if why is reason]
    others = len(lasting) - len(keys[:SHOWN_POINTS])
    have = "has" if len(keys) == 1 else "have"
    more = f", and {count_text(others, 'other')}" if others else ""
    yield IssueFinding(
        "values_bad",
        device.name,
        f"{len(keys)} of {device.point_count} points of {device.name} {have} no value ({reason}): "
        f"{', '.join(keys[:SHOWN_POINTS])}{more}",
        as_instruction(REMEDIES.get(reason, "")),
    )


def _bad_limit_ns(device: PolledState) -> int:
    return 0 if device.every_ns > SOON_NS else max(BAD_NS, BAD_PERIODS * device.every_ns)


def _was_away(device: PolledState, now_ns: int) -> bool:
    """What failed was told while it did, unless it comes and goes."""
    lately = sum(now_ns - at_ns < HOUR_NS for at_ns in device.returns)
    return 0 < lately < OFTEN_AWAY


def _is_unasked(device: PolledState) -> bool:
    """Right after a start."""
    return device.reason is None and not device.reads


def _may_pass(device: PolledState) -> bool:
    """It has failed only just now, and the next read is soon: what fails often is told as such."""
    patience = BUSY_READS if device.reason in TEMPORARY_REASONS else FAILED_READS
    return device.failures < patience and device.every_ns <= SOON_NS


def _fails(kind: IssueName, about: str, reason: Reason | None, text: str) -> IssueFinding:
    """A text with a remedy of its own says it; else the reason alone suggests one."""
    cause, remedy = split_remedy(text, reason)
    hint = f"`kerbstone doctor{'' if kind == 'line_closed' else f' {about}'}` says more."
    return IssueFinding(
        kind, about, f"{about}: {cause}", f"{as_instruction(remedy)} {hint}" if remedy else ""
    )

"""From the calibrations of a configuration to what the engine does with them."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from edge.config import Calibration, Cell, Problem, Site, check_points
from edge.core import ConfigError, Point, Stamp, TimeQuality
from edge.health.openissues import IssueFinding
from edge.process.aan803 import AlphasenseCell as Certified
from edge.process.calibration import MAX_AGE_NS, Correction, GasCell, InputPoint

EXPIRY_WARNING: Final = datetime.timedelta(days=30)  # a laboratory wants to be asked in time
EXPIRED: Final = datetime.timedelta(days=-1)


def calibration_problems(site: Site, points: Mapping[str, Sequence[Point]]) -> list[Problem]:
    """Why the engine could not do what is configured; `points` are those of polled devices."""
    found = check_points(site, points, MAX_AGE_NS / 1e9)
    for key, cell in site.cells.items():
        try:
            _cell(key, cell)
        except ConfigError as error:
            found.append(site.remark(("cell", key, "algorithm"), str(error)))
    return found


def expiring_certificates(
    site: Site, now: Stamp, soon: datetime.timedelta = EXPIRY_WARNING
) -> list[Problem]:
    """Certificates that are out of date, or soon will be; the wall clock is taken as it is."""
    found, today = [], _day(now)
    named = [(("calibration", name), c.until) for name, c in site.calibrations.items()]
    named += [(("cell", name), c.until) for name, c in site.cells.items()]
    for path, until in named:
        if until is None or until - today > soon:
            continue
        text = f"{until} is the last day on which it is valid"
        if until < today:
            text = f"{until} has passed: its values are uncertain:calibration"
        found.append(site.remark((*path, "until"), f"{text}; have it calibrated again"))
    return found


def device_corrections(site: Site, device: str) -> tuple[Correction, ...]:
    """What is corrected of a device."""
    return tuple(_correction(c) for c in site.calibrations.values() if c.device == device)


def device_cells(site: Site, device: str) -> tuple[GasCell, ...]:
    """The gas cells whose voltages a device measures. Raises ConfigError for one that cannot be."""
    return tuple(_cell(key, c) for key, c in site.cells.items() if c.device == device)


def expired_points(site: Site, now: Stamp) -> dict[str, set[str]]:
    """Device -> points whose calibration is out of date.

    A clock that may be slow is enough: what is over for it is over. One that knows nothing is not.
    """
    found: dict[str, set[str]] = {}
    if now.tq is TimeQuality.NONE:
        return found
    today = _day(now)
    for point, certificate in _certified(site):
        if certificate.until is not None and certificate.until < today:
            found.setdefault(certificate.device, set()).add(point)
    return found


def expired_findings(site: Site, now: Stamp) -> Iterator[IssueFinding]:
    """Devices whose values are uncertain for that; without a clock nobody can tell."""
    ends = {(c.device, point): c.until for point, c in _certified(site)}
    if now.tq is TimeQuality.NONE:
        for device in sorted({device for device, _ in ends}):
            yield IssueFinding("calibration_expired", device, unknown=True)
    for device, points in expired_points(site, now).items():
        shown = ", ".join(f"{point} on {ends[device, point]}" for point in sorted(points))
        cause = f"The calibration of {device} has ended ({shown}): its values are uncertain"
        yield IssueFinding("calibration_expired", device, cause)


def calibration_record(site: Site, device: str) -> Mapping[str, Mapping[str, object]]:
    """Point -> who calibrated it, when, until when, and how: for the description of the gateway."""
    return {point: _certificate_map(c) for point, c in _certified(site) if c.device == device}


def _day(now: Stamp) -> datetime.date:
    return datetime.datetime.fromtimestamp(now.wall_ns / 1e9, datetime.UTC).date()


def _certified(site: Site) -> Iterator[tuple[str, Calibration | Cell]]:
    yield from ((c.point, c) for c in site.calibrations.values())
    yield from site.cells.items()


def _certificate_map(certificate: Calibration | Cell) -> dict[str, object]:
    keys = (key for key in certificate.__struct_fields__ if key not in ("device", "point"))
    fields = {key: getattr(certificate, key) for key in keys}
    return {
        key: str(value) if isinstance(value, datetime.date) else value
        for key, value in fields.items()
        if value is not None
    }


def _correction(c: Calibration) -> Correction:
    offset = 0.0 if c.offset is None else c.offset
    gain = 1.0 if c.gain is None else c.gain
    return Correction(
        c.point, c.polynomial or (offset, gain), c.kappa or 0.0, _input(c.humidity),
        c.publish == "both",
    )  # fmt: skip


def _cell(point: str, c: Cell) -> GasCell:
    certified = Certified(
        c.type, c.we_electronic_mv, c.ae_electronic_mv, c.we_zero_mv, c.ae_zero_mv,
        c.sensitivity_mv_ppb, c.algorithm,
    )  # fmt: skip
    device, _, key = c.temperature.partition(".")
    return GasCell(
        point, certified, c.working, c.auxiliary, InputPoint(device, key), _input(c.no2),
        c.no2_mv_ppb or 0.0,
    )  # fmt: skip


def _input(point_name: str | None) -> InputPoint | None:
    if point_name is None:
        return None
    device, _, point = point_name.partition(".")
    return InputPoint(device, point)

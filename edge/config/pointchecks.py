"""Checks that need the points of built devices: is what a calibration names of the right kind?

Points may depend on the options of a device, so that a file alone does not tell them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from edge.config.keylines import KeyPath
from edge.config.problem import Problem, show_value, suggest
from edge.config.site import Site
from edge.core import Point, Quantity

Points = Mapping[str, Sequence[Point]]
Need = tuple[KeyPath, str, str, Quantity | None]  # what is named where: device, point; and its kind

RAW: Final = "_raw"  # what the key of a measured value ends with, when both are published
ELECTRODES: Final = ("working", "auxiliary")  # points of the cell's own device
POINTS_SHOWN: Final = 4  # points that are told as a remedy


def check_points(site: Site, points: Points, age_s: float) -> list[Problem]:
    """All that does not fit together. `points` are those of each polled device.

    A value that others are corrected with counts for `age_s`.
    """
    found = [*_needs(site, points), *_slow(site, age_s), *_check_names(site, points)]
    return sorted(found, key=lambda problem: (problem.line, problem.key))


def _needs(site: Site, points: Points) -> Iterator[Problem]:
    for path, device, key, wanted in (*_of_calibrations(site), *_of_cells(site)):
        known = {point.key: point for point in points.get(device, ())}
        point = known.get(key)
        if point is None:
            yield site.remark(
                path, f"{device} has no point {show_value(key)}; {suggest(key, known)}"
            )
        elif path[-1] == "kappa" and point.quantity is not wanted:
            problem = f"is for the mass of particles, and {_point_text(device, point)}"
            yield site.remark(path, f"{problem}; leave kappa and humidity out")
        elif wanted is not None and point.quantity is not wanted:
            own = {device: points[device]} if path[-1] in ELECTRODES else {}
            right = _having(own, wanted) or _having(points, wanted) or "no device here has it"
            yield site.remark(
                path, f"{_point_text(device, point)}, not {_quantity_text(wanted)}; {right}"
            )
        elif point.quantity is Quantity.STATE:
            yield site.remark(path, f"{device}.{key} is a state; there is nothing to correct in it")


def _of_calibrations(site: Site) -> Iterator[Need]:
    for name, one in site.calibrations.items():
        path = ("calibration", name)
        if one.kappa is None:
            yield (*path, "point"), one.device, one.point, None
        else:
            yield (*path, "kappa"), one.device, one.point, Quantity.MASS_CONCENTRATION
        if one.humidity is not None:
            yield (*path, "humidity"), *_parted(one.humidity), Quantity.RELATIVE_HUMIDITY


def _of_cells(site: Site) -> Iterator[Need]:
    for name, one in site.cells.items():
        path = ("cell", name)
        for key in ELECTRODES:
            yield (*path, key), one.device, getattr(one, key), Quantity.VOLTAGE
        yield (*path, "temperature"), *_parted(one.temperature), Quantity.TEMPERATURE
        if one.no2 is not None and not _of_cell(site, one.no2):
            yield (*path, "no2"), *_parted(one.no2), Quantity.GAS_FRACTION


def _slow(site: Site, age_s: float) -> Iterator[Problem]:
    """A source that is heard less often than its values count leaves gaps."""
    for path, source in _sources(site):
        device = _parted(source)[0]
        every_s = site.devices[device].every_s
        if every_s >= age_s:
            yield site.remark(
                path,
                f"{source} is read every {every_s:g} s and is valid for {age_s:g} s, so it would "
                f"often be missing; write every_s = {age_s / 2:g} or less in device.{device}",
            )


def _sources(site: Site) -> Iterator[tuple[KeyPath, str]]:
    for name, calibration in site.calibrations.items():
        if calibration.humidity is not None:
            yield ("calibration", name, "humidity"), calibration.humidity
    for name, cell in site.cells.items():
        yield ("cell", name, "temperature"), cell.temperature
        if cell.no2 is not None and not _of_cell(site, cell.no2):
            yield ("cell", name, "no2"), cell.no2


def _check_names(site: Site, points: Points) -> Iterator[Problem]:
    """What is made must not be called as something that is there."""
    for name, one in site.cells.items():
        if name in {point.key for point in points.get(one.device, ())}:
            text = (
                f"{one.device} has a point of this name already; "
                "the new point would have the same name"
            )
            yield site.remark(("cell", name), text)
    for name, each in site.calibrations.items():
        if each.publish != "both":
            continue
        key = each.point + RAW
        cells = (cell for cell, one in site.cells.items() if one.device == each.device)
        if key in {*cells, *(point.key for point in points.get(each.device, ()))}:
            problem = f'"both" makes a point {key}, and {each.device} has one already'
            cell = f", or give cell.{key} another name" if key in site.cells else ""
            yield site.remark(
                ("calibration", name, "publish"), f'{problem}; write "corrected"{cell}'
            )


def _of_cell(site: Site, value: str) -> bool:
    """Does a gas cell make this point?"""
    device, point = _parted(value)
    return point in site.cells and site.cells[point].device == device


def _parted(value: str) -> tuple[str, str]:
    device, _, point = value.partition(".")
    return device, point


def _point_text(device: str, point: Point) -> str:
    return f"{device}.{point.key} is {_quantity_text(point.quantity)} in {point.quantity.unit}"


def _quantity_text(quantity: Quantity) -> str:
    return quantity.label.replace("_", " ")


def _having(points: Points, wanted: Quantity) -> str:
    right = [f"{d}.{p.key}" for d, ps in points.items() for p in ps if p.quantity is wanted]
    more = " ..." if len(right) > POINTS_SHOWN else ""
    return f"right would be {', '.join(right[:POINTS_SHOWN])}{more}" if right else ""

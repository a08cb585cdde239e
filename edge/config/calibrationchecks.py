"""Checks of calibrations and gas cells: what they correct is there, and what they need is known."""

from typing import Final

from edge.config.build import SiteDraft
from edge.config.keylines import KeyPath
from edge.config.problem import show_value, suggest

POLYNOMIAL_LIMIT: Final = 8  # coefficients; a sensor that needs more needs another sensor


def check_calibrations(draft: SiteDraft) -> None:
    """All checks of this module."""
    _correct_once(draft)
    for name in draft.names("calibration"):
        path = ("calibration", name)
        _point(draft, path, "point")
        _where(draft, (*path, "humidity"))
        _check_method(draft, name)
        _dates(draft, path)
    for name in draft.names("cell"):
        path = ("cell", name)
        for key in ("working", "auxiliary"):
            _point(draft, path, key)
        _where(draft, (*path, "temperature"))
        _no2(draft, name)
        _cell(draft, name)
        _dates(draft, path)


def _correct_once(draft: SiteDraft) -> None:
    seen: dict[tuple[str, str], str] = {}
    for name in draft.names("calibration"):
        device, point = (draft.get("calibration", name, key) for key in ("device", "point"))
        if device is None or point is None:
            continue
        other = seen.setdefault((device, point), name)
        if other != name:
            draft.report(
                ("calibration", name, "point"),
                f"calibration.{other} corrects {device}.{point} already; write it into one table",
            )


def _point(draft: SiteDraft, path: tuple[str, str], key: str) -> None:
    """`path` names a device, and its `key` a point of it."""
    device, point = draft.get(*path, "device"), draft.get(*path, key)
    if device is not None and _polled(draft, (*path, "device"), device) and point is not None:
        _has(draft, (*path, key), device, point)


def _where(draft: SiteDraft, path: tuple[str, str, str]) -> None:
    """`device.point`, if it is given."""
    value = draft.get(*path)
    if value is not None:
        device, _, point = value.partition(".")
        if _polled(draft, path, device):
            _has(draft, path, device, point)


def _polled(draft: SiteDraft, path: KeyPath, device: str) -> bool:
    known = draft.names("device")
    if device not in known:
        draft.report(path, f"no device is called {show_value(device)}; {suggest(device, known)}")
        return False
    driver = draft.driver(device)
    if driver is not None and driver.wiring == "gpio":
        draft.report(path, f"{device} is on a GPIO line and has no points")
        return False
    return driver is not None


def _has(draft: SiteDraft, path: KeyPath, device: str, point: str) -> None:
    driver = draft.driver(device)
    chosen = draft.get("device", device, "points")
    points = chosen or (driver.points if driver else ())
    if points and point not in points:
        more = f" (of those in device.{device}.points)" if chosen else ""
        draft.report(
            path, f"{device} has no point {show_value(point)}{more}; {suggest(point, points)}"
        )


def _check_method(draft: SiteDraft, name: str) -> None:
    table = draft.data["calibration"][name]
    if "polynomial" in table:
        for key in ("offset", "gain"):
            if key in table:
                draft.report(
                    ("calibration", name, key),
                    "polynomial already includes this; leave one of them out",
                )
        if len(draft.get("calibration", name, "polynomial") or ()) > POLYNOMIAL_LIMIT:
            draft.report(
                ("calibration", name, "polynomial"),
                f"has more than {POLYNOMIAL_LIMIT} coefficients",
            )
        if not any((draft.get("calibration", name, "polynomial") or (0.0, 1.0))[1:]):
            draft.report(
                ("calibration", name, "polynomial"),
                "makes every value the same; c1, or one after it, must not be 0",
            )
    elif not {"offset", "gain", "kappa"} & table.keys():
        draft.report(
            ("calibration", name),
            "does not say what to do; offset, gain, polynomial or kappa belongs here",
        )
    if draft.get("calibration", name, "gain") == 0:
        draft.report(
            ("calibration", name, "gain"), "0 makes every value the same; 1.0 changes nothing"
        )
    _check_together(draft, ("calibration", name), "kappa", "humidity")


def _no2(draft: SiteDraft, name: str) -> None:
    """A cell for ozone is told of NO2 by a cell beside it, or by a device that measures it."""
    path = ("cell", name, "no2")
    device, _, point = (draft.get(*path) or "").partition(".")
    if not point or device != draft.get("cell", point, "device"):
        _where(draft, path)
        return
    kind = draft.get("cell", point, "type")
    if point == name:
        draft.report(
            path, "is this cell itself; a cell of the types NO2-A43F or NO2-B43F is needed"
        )
    elif kind is not None and not kind.startswith("NO2-"):
        draft.report(path, f"cell.{point} is of the type {kind}; NO2-A43F or NO2-B43F is needed")
    elif device != draft.get("cell", name, "device"):
        draft.report(
            path,
            f"cell.{point} is wired to another device; wire both cells to one, "
            "so that they are read at the same moment",
        )


def _cell(draft: SiteDraft, name: str) -> None:
    path = ("cell", name)
    kind = draft.get(*path, "type")
    if kind is not None and draft.get(*path, "no2") is not None and not kind.startswith("OX-"):
        draft.report((*path, "no2"), f"is for cells of the types OX-A431 and OX-B431, not {kind}")
    _check_together(draft, path, "no2", "no2_mv_ppb")
    working = draft.get(*path, "working")
    if working is not None and working == draft.get(*path, "auxiliary"):
        draft.report(
            (*path, "auxiliary"),
            f"{working} is the input of the working electrode; each electrode has its own input",
        )
    device = draft.get(*path, "device")
    driver = draft.driver(device) if device else None
    if driver is not None and name in driver.points:
        draft.report(
            path,
            f"{device} has a point of this name already; the new point would have the same name",
        )


def _check_together(draft: SiteDraft, path: tuple[str, str], one: str, other: str) -> None:
    table = draft.data[path[0]][path[1]]
    for here, there in ((one, other), (other, one)):
        if here in table and there not in table:
            draft.report((*path, there), f"is missing; {here} needs it")


def _dates(draft: SiteDraft, path: tuple[str, str]) -> None:
    on, until = draft.get(*path, "on"), draft.get(*path, "until")
    if on is not None and until is not None and until < on:
        draft.report((*path, "until"), f"{until} lies before {on}, when it was calibrated")

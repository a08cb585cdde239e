"""Checks of calibrations and gas cells: what they correct is there, and what they need is known."""

from typing import Final

from edge.config.build import Draft
from edge.config.positions import Path
from edge.config.problem import near, shown

POLYNOMIAL_LIMIT: Final = 8  # coefficients; a sensor that needs more needs another sensor


def check(draft: Draft) -> None:
    """All checks of this module."""
    _correct_once(draft)
    for name in draft.names("calibration"):
        path = ("calibration", name)
        _point(draft, path, "point")
        _where(draft, (*path, "humidity"))
        _how(draft, name)
        _dates(draft, path)
    for name in draft.names("cell"):
        path = ("cell", name)
        for key in ("working", "auxiliary"):
            _point(draft, path, key)
        for key in ("temperature", "no2"):
            _where(draft, (*path, key))
        _cell(draft, name)
        _dates(draft, path)


def _correct_once(draft: Draft) -> None:
    seen: dict[tuple[str, str], str] = {}
    for name in draft.names("calibration"):
        device, point = (draft.get("calibration", name, key) for key in ("device", "point"))
        if device is None or point is None:
            continue
        other = seen.setdefault((device, point), name)
        if other != name:
            draft.say(
                ("calibration", name, "point"),
                f"calibration.{other} corrects {device}.{point} already; write it into one table",
            )


def _point(draft: Draft, path: tuple[str, str], key: str) -> None:
    """`path` names a device, and its `key` a point of it."""
    device, point = draft.get(*path, "device"), draft.get(*path, key)
    if device is not None and _polled(draft, (*path, "device"), device) and point is not None:
        _has(draft, (*path, key), device, point)


def _where(draft: Draft, path: tuple[str, str, str]) -> None:
    """`device.point`, if it is given."""
    told = draft.get(*path)
    if told is not None:
        device, _, point = told.partition(".")
        if _polled(draft, path, device):
            _has(draft, path, device, point)


def _polled(draft: Draft, path: Path, device: str) -> bool:
    known = draft.names("device")
    if device not in known:
        draft.say(path, f"no device is called {shown(device)}; {near(device, known)}")
        return False
    driver = draft.driver(device)
    if driver is not None and driver.wiring == "gpio":
        draft.say(path, f"{device} sits on a line and has no points")
        return False
    return driver is not None


def _has(draft: Draft, path: Path, device: str, point: str) -> None:
    driver = draft.driver(device)
    if path[-1] == "no2" and draft.get("cell", point, "device") == device:
        return  # another cell makes it
    chosen = draft.get("device", device, "points")
    points = chosen or (driver.points if driver else ())
    if points and point not in points:
        more = f" (of those in device.{device}.points)" if chosen else ""
        draft.say(path, f"{device} has no point {shown(point)}{more}; {near(point, points)}")


def _how(draft: Draft, name: str) -> None:
    table = draft.data["calibration"][name]
    if "polynomial" in table:
        for key in ("offset", "gain"):
            if key in table:
                draft.say(
                    ("calibration", name, key), "polynomial says it all; leave one of them out"
                )
        if len(draft.get("calibration", name, "polynomial") or ()) > POLYNOMIAL_LIMIT:
            draft.say(
                ("calibration", name, "polynomial"),
                f"has more than {POLYNOMIAL_LIMIT} coefficients",
            )
    elif not {"offset", "gain", "kappa"} & table.keys():
        draft.say(
            ("calibration", name),
            "says nothing of what to do; offset, gain, polynomial or kappa belongs here",
        )
    _together(draft, ("calibration", name), "kappa", "humidity")


def _cell(draft: Draft, name: str) -> None:
    path = ("cell", name)
    kind = draft.get(*path, "type")
    if kind is not None and draft.get(*path, "no2") is not None and not kind.startswith("OX-"):
        draft.say((*path, "no2"), f"is for cells of the types OX-A431 and OX-B431, not {kind}")
    _together(draft, path, "no2", "no2_mv_ppb")
    device = draft.get(*path, "device")
    driver = draft.driver(device) if device else None
    if driver is not None and name in driver.points:
        draft.say(path, f"{device} has a point of this name already; the name is the new point's")


def _together(draft: Draft, path: tuple[str, str], one: str, other: str) -> None:
    table = draft.data[path[0]][path[1]]
    for here, there in ((one, other), (other, one)):
        if here in table and there not in table:
            draft.say((*path, there), f"is missing; {here} needs it")


def _dates(draft: Draft, path: tuple[str, str]) -> None:
    on, until = draft.get(*path, "on"), draft.get(*path, "until")
    if on is not None and until is not None and until < on:
        draft.say((*path, "until"), f"{until} lies before {on}, when it was calibrated")

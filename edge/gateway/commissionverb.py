"""The verbs `commission`, which only tells, and `commission_step`, which changes something: what
may be asked, and how each word is checked.

`{"verb": "commission"}` is answered with the whole state (`state_answer`), and with `form` (`json`,
`html`) and `number` (none: the last) with a sheet: `file` or `page`.

`{"verb": "commission_step", "act": "test", "step": "device:main_meter"}` is answered with the state
as it is then.

| act | arguments | what it does |
|---|---|---|
| `begin` | `by`, `anew` (false) | opens, or takes over what another one has begun |
| `test` | `step` | a device, a contact, the record, the last search |
| `drive` | `lane`, `speed_kmh`, `length_m` (both may be null) | looks at the loops from now on |
| `finish` | `mine` (`at_ms` of a passage, or null), `speed_kmh`, `length_m` | judges the drive |
| `cancel` | | forgets the drive |
| `field` | `step`, `key`, `value` (null empties it) | what the box cannot measure |
| `found` | `places`, as `kerbstone scan --json` prints it | devices that answered a search |
| `name`, `dismiss` | `id`, and `name` | decides about one of them |
| `sign` | `by`, `note`, `reservations` (false) | makes, keeps and publishes the sheet |
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET

from edge.commission.drivejudgement import ToldDrive
from edge.commission.founddevices import parse_scan
from edge.commission.loopfields import LOOP_FIELDS
from edge.commission.session import NAME_LIMIT, NOTE_LIMIT, verdict_counts
from edge.commission.sheet import sheet_state
from edge.commission.steps import LEFT_OUT, CommissionStep
from edge.commission.stepstatus import finding_row, left_out_finding, status_row
from edge.control.protocol import VerbError
from edge.core.displayname import check_display_name
from edge.core.printable import printable
from edge.gateway.commissioning import Commissioning
from edge.wire.contract.terms import NAME_PATTERN

DIRECTIONS: Final = ("import", "export", "either")
SPEED_KMH: Final = (3.0, 200.0)
LENGTH_M: Final = (0.5, 30.0)
SHEET_DIGITS: Final = 9


class CommissionVerb:
    """`told` and `step` are what the control socket calls."""

    def __init__(self, commissioning: Commissioning) -> None:
        self._owner = commissioning

    async def told(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Changes nothing. Raises VerbError with a sentence for the person who asked."""
        if request.get("form") is not None:
            return await self._export(request)
        return state_answer(self._owner)

    async def step(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Raises VerbError with a sentence for the person who asked."""
        act = request.get("act")
        acts = {
            "begin": self._begin, "test": self._test, "drive": self._drive,
            "finish": self._finish, "cancel": self._cancel, "field": self._field,
            "found": self._found, "name": self._name, "dismiss": self._dismiss,
            "sign": self._sign,
        }  # fmt: skip
        if not isinstance(act, str) or act not in acts:
            raise VerbError(f"act is one of {', '.join(acts)}")
        more = await acts[act](request)
        return {**state_answer(self._owner), **more}

    async def _begin(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        await self._owner.begin(_person(request), anew=request.get("anew") is True)
        return {}

    async def _test(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        step = self._named_step(request)
        await self._owner.test(step)
        return {"step": step.id}

    async def _drive(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        lane = request.get("lane")
        self._must_have_room(f"lane:{lane}")
        if not isinstance(lane, str) or f"lane:{lane}" not in self._owner.steps:
            known = [s.subject for s in self._owner.steps.values() if s.kind == "lane"]
            raise VerbError(f"lane is one of {', '.join(known) or 'none: there is no lane'}")
        self._owner.begin_drive(lane, _told(request))
        return {}

    async def _finish(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        mine = request.get("mine")
        if mine is not None and type(mine) is not int:
            raise VerbError("mine is the number at_ms of a passage, or null")
        drive = self._owner.drive
        told = _told(request)
        if drive is not None:  # what was said at its begin still holds
            told = ToldDrive(
                drive.told.speed_kmh if told.speed_kmh is None else told.speed_kmh,
                drive.told.length_m if told.length_m is None else told.length_m,
            )
        seen = await self._owner.finish_drive(told, mine)
        return {"step": f"lane:{drive.lane.name}" if drive else "", "own": seen.own is not None}

    async def _cancel(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self._owner.cancel_drive()
        return {}

    async def _field(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        step = self._named_step(request)
        key, value = request.get("key"), request.get("value")
        await self._owner.fill_field(step, *field_value(step, key, value))
        return {"step": step.id}

    async def _found(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            places, found = parse_scan(request)
        except ValueError as error:
            raise VerbError(str(error)) from error
        await self._owner.take_scan(places, found)
        return {"step": "scan"}

    async def _name(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        name = request.get("name")
        if not isinstance(name, str) or not re.fullmatch(NAME_PATTERN, name):
            raise VerbError("name is an id such as roof_air: letters, digits, _ . : -")
        one = await self._owner.decide_found(str(request.get("id")), "named", name)
        return {"named": one.id}

    async def _dismiss(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        await self._owner.decide_found(str(request.get("id")), "dismissed", "")
        return {}

    async def _sign(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        note = request.get("note") or ""
        if not isinstance(note, str) or len(note) > NOTE_LIMIT:
            raise VerbError(f"note is text of at most {NOTE_LIMIT} characters")
        signed = await self._owner.sign(
            _person(request), printable(note, NOTE_LIMIT),
            reservations=request.get("reservations") is True,
        )  # fmt: skip
        return {"number": signed.number}

    async def _export(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        number, form = request.get("number"), request.get("form")
        if number is None:
            number = self._owner.session.number
        elif isinstance(number, str) and number.isdecimal() and len(number) < SHEET_DIGITS:
            number = int(number)  # of a page's address
        if type(number) is not int or form not in ("json", "html"):
            raise VerbError("number is that of a sheet, form is json or html")
        if not number:
            raise VerbError("no sheet has been signed on this box yet")
        file, page = await self._owner.sheet(number)
        return {"number": number, **({"page": page} if form == "html" else {"file": file})}

    def _named_step(self, request: Mapping[str, Any]) -> CommissionStep:
        step = self._owner.steps.get(str(request.get("step")))
        self._must_have_room(str(request.get("step")))
        if step is None:
            known = ", ".join(self._owner.steps)
            raise VerbError(f"there is no step {printable(str(request.get('step')), 80)!r}; "
                            f"there are {printable(known, 2000)}")  # fmt: skip
        return step

    def _must_have_room(self, id_: str) -> None:
        rest = self._owner.steps.get(LEFT_OUT)
        if rest is not None and id_ in (LEFT_OUT, *rest.left_out):
            raise VerbError(left_out_finding(rest).text)


def state_answer(owner: Commissioning) -> dict[str, Any]:
    """All of it, for people who look on.

    `steps` in the order in which they are done: id, kind, subject, name, verdict, done, stale,
    findings (kind, verdict, text, remedy, figures), at, by, fields. `drive` is null, or has lane,
    running, left_s and passages. `found` are devices that answered a search.
    """
    session, statuses = owner.session, owner.statuses()
    status = owner.status()
    return {
        "by": session.by,
        "begun": session.begun,
        "open": session.is_open,
        "acceptance": {
            key: value
            for key in status.__struct_fields__
            if (value := getattr(status, key)) is not UNSET
        },
        "counts": verdict_counts(each.verdict for each in statuses),
        "would_be": sheet_state(statuses),
        "steps": [status_row(each) for each in statuses],
        "drive": drive_answer(owner),
        "found": [
            {
                "id": one.id, "place": one.place, "driver": one.driver, "what": one.what,
                "serial": one.serial, "state": one.state, "name": one.name,
                "options": one.options, "line": one.line,
                "matched": owner.matched(one),
            }
            for one in session.found
        ],
        "last_sheet": session.number or None,
    }  # fmt: skip


def drive_answer(owner: Commissioning) -> dict[str, Any] | None:
    """The drive that runs or ended last: what it has seen so far, and what that would come to."""
    drive, seen = owner.drive, owner.seen_drive()
    if drive is None or seen is None:
        return None
    return {
        "lane": drive.lane.name,
        "running": drive.running,
        "left_s": drive.left_s,
        "speed_kmh": drive.told.speed_kmh,
        "passages": drive.rows(seen),
        "findings": [finding_row(each) for each in seen.findings],
    }


def field_value(step: CommissionStep, key: Any, value: Any) -> tuple[str, float | str | None]:
    """A field and its value, checked. Raises VerbError that says what would be right."""
    if not isinstance(key, str):
        key = ""  # a list is no key of a table
    if step.kind == "loop" and key in LOOP_FIELDS:
        field = LOOP_FIELDS[key]
        if value is None:
            return field.key, None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise VerbError(f"{key} is a number in {field.unit or 'no unit'}")
        if not 0 <= value <= field.most:  # nor is NaN; an int may be too large for a float
            raise VerbError(f"{key} is a number from 0 to {field.most:g}")
        return field.key, float(value)
    if step.kind == "device" and key == "direction":
        if value is not None and value not in DIRECTIONS:
            raise VerbError(f"direction is one of {', '.join(DIRECTIONS)}")
        return "direction", value
    known = {"loop": tuple(LOOP_FIELDS), "device": ("direction",)}.get(step.kind, ())
    raise VerbError(f"{step.id} has no such field; it has {', '.join(known) or 'none'}")


def _person(request: Mapping[str, Any]) -> str:
    by = request.get("by")
    if not isinstance(by, str) or not by:
        raise VerbError("by is the name of who does it")
    try:
        return check_display_name(by)
    except ValueError as error:
        raise VerbError(f"by is a name of at most {NAME_LIMIT} characters: {error}") from error


def _told(request: Mapping[str, Any]) -> ToldDrive:
    return ToldDrive(
        _number(request, "speed_kmh", SPEED_KMH), _number(request, "length_m", LENGTH_M)
    )


def _number(request: Mapping[str, Any], key: str, limits: tuple[float, float]) -> float | None:
    value = request.get(key)
    if value is None:
        return None
    low, high = limits
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise VerbError(f"{key} is a number from {low:g} to {high:g}, or null")
    return float(value)

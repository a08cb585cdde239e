"""Commissioning of this gateway: owner of how far it is, of the drive that runs, and of the sheets.

Belongs to the main loop. Each change is on the card before it is answered, and one that cannot be
kept did not happen: so it is left and resumed at any point, and a power cut takes nothing but a
drive that was under way. `edge.gateway.acceptancetold` tells the city of an acceptance.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

import msgspec
from msgspec import UNSET

from edge.commission.devicetest import Direction
from edge.commission.drivejudgement import DriveSeen, ToldDrive
from edge.commission.founddevices import (
    OfferedDevice,
    ScannedPlace,
    judge_scan,
    matched_device,
    remember,
)
from edge.commission.session import (
    CommissionSession,
    SignedSheet,
    StepResult,
    decode_session,
    encode_session,
    stale_reason,
    stale_steps,
)
from edge.commission.sheet import SheetBox, make_sheet, open_steps
from edge.commission.sheetpage import sheet_page
from edge.commission.steps import (
    RECORD,
    SCAN,
    CommissionStep,
    configuration_digest,
    site_steps,
)
from edge.commission.stepstatus import StepStatus, all_steps
from edge.commission.verdict import StepFinding
from edge.control.protocol import VerbError
from edge.core import Stamp
from edge.core.release import VERSION
from edge.gateway.acceptancesheet import sheet_file
from edge.gateway.acceptancetold import AcceptanceTold
from edge.gateway.commissionexams import (
    ContactExams,
    ExaminedGateway,
    LaneDrive,
    examine_device,
    examine_record,
)
from edge.gateway.commissionfiles import CommissionFiles
from edge.gateway.commissionhooks import CommissionHooks
from edge.gateway.scantargets import site_targets
from edge.wire.contract.acceptance import AcceptanceStatus, AcceptedState
from edge.wire.records import iso_time

LOG: Final = logging.getLogger("kerbstone")
STALE_LISTED: Final = 32
CONTACT_KINDS: Final = ("contact", "pulses", "bay", "signal")
WIRED: Final = ("lane", *CONTACT_KINDS)  # to the lines of the box
KEPT_ANEW: Final = "this could not be kept on the disk ({error}), so nothing has changed"


class Commissioning:
    """See above. Making one reads the file of the card."""

    def __init__(
        self, gateway: ExaminedGateway, files: CommissionFiles, hooks: CommissionHooks
    ) -> None:
        self._files, self._hooks = files, hooks
        self.use_gateway(gateway)
        self._session = files.load()
        self._changing = asyncio.Lock()
        self.drive: LaneDrive | None = None
        self.told = AcceptanceTold(
            hooks.publish, lambda: self._gateway.clock.now().mono_ns,
            lambda change: self._change(change, opens=True),
        )  # fmt: skip

    def use_gateway(self, gateway: ExaminedGateway) -> None:
        """At a start, and when the site was changed while the daemon runs: steps follow the file.
        A drive that runs goes on: lanes do not change so."""
        self._gateway, self._site = gateway, gateway.site
        self.steps = site_steps(gateway.site)
        self.configuration = configuration_digest(gateway.site)
        self._places = {place: bus for bus, place in site_targets(gateway.site).items()}
        self._lanes = {lane.name: lane for lane in gateway.lanes}
        self._contacts = ContactExams(gateway)

    # -- what is asked -----------------------------------------------------------------------------

    @property
    def session(self) -> CommissionSession:
        return self._session

    def statuses(self) -> list[StepStatus]:
        """Each step as it stands now."""
        return all_steps(self._session, self.steps, self._serials())

    def stale(self) -> list[str]:
        """Steps of the last sheet that would be other ones now, and those that it never knew."""
        sheet = self._session.sheet
        return [] if sheet is None else stale_steps(sheet, self.steps, self._serials())

    def status(self) -> AcceptanceStatus:
        """For the city's status."""
        session, sheet = self._session, self._session.sheet
        if sheet is None:
            return AcceptanceStatus(state="open" if session.is_open else "none")
        stale = self.stale()
        return AcceptanceStatus(
            state="stale" if stale else cast("AcceptedState", sheet.state),
            number=sheet.number,
            by=sheet.by,
            at=UNSET if sheet.at is None else iso_time(sheet.at * 10**9),
            sheet_sha256=sheet.sha256,
            stale=stale[:STALE_LISTED] if stale else UNSET,
        )

    def matched(self, one: OfferedDevice) -> str:
        """The device of the site file that one that was found is; "" for none."""
        return matched_device(self._site, self._places, one)

    async def sheet(self, number: int) -> tuple[dict[str, Any], str]:
        """A sheet, and the same as a page. Raises VerbError."""
        if number > self._session.number:  # one that could not be kept was never signed
            raise VerbError(f"there is no sheet {number} on this box")
        try:
            found = await asyncio.to_thread(self._files.sheet, number)
            page = await asyncio.to_thread(self._files.page, number)
        except (OSError, ValueError) as error:
            raise VerbError(f"sheet {number} cannot be read: {error}") from error
        if found is None or page is None:
            raise VerbError(f"there is no sheet {number} on this box")
        return found, page

    # -- what is done ------------------------------------------------------------------------------

    async def begin(self, by: str, *, anew: bool) -> None:
        """Somebody begins, or goes on where another one stopped. `anew` forgets what was done."""

        def change(session: CommissionSession) -> None:
            session.by = by
            if anew or session.begun is None:
                session.begun = self._wall_s()
            if anew:
                session.steps, session.fields = {}, {}
            session.steps = {k: v for k, v in session.steps.items() if k in self.steps}
            session.fields = {k: v for k, v in session.fields.items() if k in self.steps}

        await self._change(change, opens=True)

    async def test(self, step: CommissionStep) -> None:
        """Do a step that needs nobody to drive. Raises VerbError."""
        figures: dict[str, Any] = {}
        if step.kind == "device":
            direction = _direction(self._session.fields.get(step.id, {}))
            found, figures = await examine_device(self._gateway, step.subject, direction)
            if direction != _direction(self._session.fields.get(step.id, {})):
                raise VerbError("somebody has changed the direction meanwhile: test again")
        elif step.kind in CONTACT_KINDS:
            found = self._contacts.examine(step)
        elif step.id == RECORD:
            found = examine_record(self._gateway)
        elif step.id == SCAN:
            found = self._scanned(self._session)
        elif step.kind == "lane":
            raise VerbError(f"drive over it: `kerbstone commission drive {step.subject}`")
        else:
            raise VerbError(
                "this is not measured by the box: fill its fields in, such as `kerbstone "
                f"commission field {step.id} inductance_uh 120`"
            )
        await self._keep(step, found, figures)

    def begin_drive(self, lane: str, told: ToldDrive) -> None:
        """From now on the loops are looked at. Raises VerbError."""
        self._must_be_open()
        runs = self.drive
        if runs is not None and runs.running and runs.lane.name != lane:
            raise VerbError(
                f"a drive over {runs.lane.name} runs, maybe of somebody else: finish it, or "
                "`kerbstone commission cancel`"
            )
        self.drive = LaneDrive(self._gateway, self._lanes[lane], told)
        self._hooks.watch_drive(self.drive.take)

    def cancel_drive(self) -> None:
        """Nothing of it is kept. Always safe."""
        self.drive = None
        self._hooks.watch_drive(None)

    def seen_drive(self) -> DriveSeen | None:
        """What the drive that runs, or ended last, shows at this moment."""
        return None if self.drive is None else self.drive.judge(self.drive.told)

    async def finish_drive(self, told: ToldDrive, mine_ms: int | None) -> DriveSeen:
        """Judge it and keep what it came to. Raises VerbError."""
        drive = self.drive
        if drive is None:
            raise VerbError("no drive runs: `kerbstone commission drive LANE` begins one")
        self._must_be_open()
        self._hooks.watch_drive(None)
        step = self.steps[f"lane:{drive.lane.name}"]
        former = self._session.steps.get(step.id)
        known = former is not None and former.configured == step.configured
        before = str(former.figures.get("order", "")) if former is not None and known else ""
        if mine_ms is not None:
            seen = drive.judge(ToldDrive(told.speed_kmh, told.length_m), before, end=True)
            try:
                place = drive.place_of(mine_ms, seen)
            except LookupError:
                raise VerbError("no such passage was seen: choose one of the list") from None
            told = ToldDrive(told.speed_kmh, told.length_m, place)
        seen = drive.judge(told, before, end=True)
        drive.told = told
        order = seen.order or before
        figures = {**seen.figures, "order": order, "told_kmh": told.speed_kmh}
        await self._keep(step, list(seen.findings), figures)
        return seen

    async def fill_field(self, step: CommissionStep, key: str, value: float | str | None) -> None:
        """Fill in what the box cannot measure; None empties it."""

        def change(session: CommissionSession) -> None:
            former = session.steps.get(step.id)
            old = step.kind == "loop" and former is not None and stale_reason(former, step, "")
            fields = {} if old else {**session.fields.get(step.id, {})}
            fields.pop(key, None)
            if value is not None:
                fields[key] = value
            before, session.fields[step.id] = session.fields.get(step.id, {}), fields
            if step.kind == "loop":  # which line it was then, by whom; its fields are judged anew
                session.steps[step.id] = StepResult([], self._wall_s(), session.by, step.configured)
            elif step.kind == "device" and _direction(before) != _direction(fields):
                session.steps.pop(step.id, None)  # it was judged by the other one

        self._must_be_open()
        await self._change(change)

    async def take_scan(
        self, places: list[ScannedPlace], found: list[OfferedDevice]
    ) -> list[OfferedDevice]:
        """What a search of the wires has found. Gives all that is known now."""

        def change(session: CommissionSession) -> None:
            session.found = remember(session.found, found, places)
            session.searched = places

        self._must_be_open()
        await self._change(change)
        await self._keep(self.steps[SCAN], self._scanned(self._session), {})
        return self._session.found

    async def decide_found(self, id_: str, state: str, name: str) -> OfferedDevice:
        """A device that answered is named, or dismissed. Raises VerbError."""
        one = next((each for each in self._session.found if each.id == id_), None)
        if one is None:
            known = ", ".join(each.id for each in self._session.found) or "none"
            raise VerbError(f"nothing that was found is called {id_!r}; there are {known}")
        decided = msgspec.structs.replace(one, state=state, name=name)

        def change(session: CommissionSession) -> None:
            session.found = [decided if each.id == id_ else each for each in session.found]

        self._must_be_open()
        await self._change(change)
        await self._keep(self.steps[SCAN], self._scanned(self._session), {})
        return decided

    async def sign(self, by: str, note: str, *, reservations: bool) -> SignedSheet:
        """Make the sheet, keep it, and tell the city. Raises VerbError."""
        self._must_be_open()
        made: dict[str, Any] = {}

        def change(session: CommissionSession) -> None:
            """While nobody else changes anything: what was found by now is what is signed."""
            sheet = self._sheet_to_sign(session, by, note, reservations=reservations)
            made.update(sheet_file(sheet, self._hooks.sign))
            serials = self._serials()
            session.sheet = SignedSheet(
                sheet["number"], made["sha256"], sheet["state"], by, self._wall_s(),
                "signature" in made,
                {id_: step.configured for id_, step in self.steps.items()},
                {id_: serials[id_] for id_ in self.steps if serials.get(id_)},
                told=False,
            )  # fmt: skip
            session.number, session.by = sheet["number"], ""

        async def keep(session: CommissionSession) -> None:
            page = await asyncio.to_thread(sheet_page, made)
            await asyncio.to_thread(self._files.keep_sheet, session.number, made, page)

        session = await self._change(change, first=keep)
        self.told.publish(made)
        try:
            await asyncio.to_thread(self._files.tidy)
        except OSError as error:
            LOG.warning("old acceptance sheets stay: %s", error)
        assert session.sheet is not None
        return session.sheet

    def _sheet_to_sign(
        self, session: CommissionSession, by: str, note: str, *, reservations: bool
    ) -> dict[str, Any]:
        try:
            sheet = make_sheet(
                self._box(self._gateway.clock.now()), session.number + 1, session,
                all_steps(session, self.steps, self._serials()), by=by, note=note,
            )  # fmt: skip
        except ValueError as error:
            raise VerbError(str(error)) from error
        if sheet["state"] == "reservations" and not reservations:
            listed = open_steps(sheet)
            left = ", ".join(f"{id_} ({word})" for id_, word in listed.items())
            more = len(sheet["steps"]) - sheet["counts"]["passed"] - len(listed)
            raise VerbError(
                f"these steps have not passed: {left}{f' and {more} more' if more else ''}. "
                "Do them, or sign with reservations"
            )
        return sheet

    async def tell_again(self) -> None:
        """After a start: a sheet of which nobody knows whether the city was told."""
        sheet = self._session.sheet
        if sheet is None or sheet.told:
            return
        try:
            file, _ = await self.sheet(sheet.number)
        except VerbError as error:
            LOG.warning("the city may not know of the acceptance: %s", error)
            return
        self.told.publish(file)

    # -- within ------------------------------------------------------------------------------------

    def _must_be_open(self) -> None:
        if not self._session.is_open:
            raise VerbError("begin first: `kerbstone commission begin --by NAME`")

    async def _keep(
        self, step: CommissionStep, findings: list[StepFinding], figures: Mapping[str, Any]
    ) -> None:
        self._must_be_open()
        serial = self._serials().get(step.id, "")

        def change(session: CommissionSession) -> None:
            session.steps[step.id] = StepResult(
                findings, self._wall_s(), session.by, step.configured, serial, dict(figures)
            )

        await self._change(change)

    async def _change(
        self,
        change: Callable[[CommissionSession], None],
        first: Callable[[CommissionSession], Awaitable[None]] | None = None,
        *,
        opens: bool = False,
    ) -> CommissionSession:
        """On a copy, which counts once it is on the card. `opens`: also where nobody has begun.
        Raises VerbError."""
        async with self._changing:
            if not opens:
                self._must_be_open()  # somebody may have signed while this one waited
            before = self.status()
            session = decode_session(encode_session(self._session))
            change(session)
            try:
                session = decode_session(encode_session(session))  # or nobody could read it again
                if first is not None:
                    await first(session)
                await asyncio.to_thread(self._files.save, session)
            except (OSError, ValueError) as error:
                raise VerbError(KEPT_ANEW.format(error=error)) from error
            self._session = session
        if self.status() != before:
            self._hooks.changed()
        return session

    def _scanned(self, session: CommissionSession) -> list[StepFinding]:
        return judge_scan(self._site, self._places, session.searched, session.found)

    def _serials(self) -> dict[str, str]:
        """By step, of what it was done with: of what is wired to the box itself, the box."""
        board = self._hooks.board_serial
        wired = {id_: board for id_, step in self.steps.items() if step.kind in WIRED and board}
        return wired | {
            f"device:{name}": serial for name, serial in self._gateway.serials().items()
        }

    def _wall_s(self) -> int | None:
        now = self._gateway.clock.now()
        return None if now.tq.is_guessed else now.wall_ns // 1_000_000_000

    def _box(self, now: Stamp) -> SheetBox:
        place = self._site.place
        return SheetBox(
            site=place.id, site_name=place.name or "", gateway=place.gateway, software=VERSION,
            board=self._hooks.board, configuration=self.configuration,
            time="" if now.tq.is_guessed else iso_time(now.wall_ns), time_quality=str(now.tq),
            confirm=self._site.uplink.confirm,
        )  # fmt: skip


def _direction(fields: Mapping[str, float | str]) -> Direction:
    """Which way power may flow, as the technician has said it."""
    return cast("Direction", fields.get("direction", "import"))

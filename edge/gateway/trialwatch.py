"""The configuration of a running daemon: watches the one that is on trial, and changes it.

A configuration is good after five minutes of good health in a row: each owner (buses, committer,
sender) has worked and none is overdue, and the broker was reached, or could not be because no
network is plugged in. A daemon that can do all but reach its broker is no bad start, and no good
one: its URL may be what is wrong. One that was changed as a transaction is held to more
(`edge.gateway.trialjudge`): it is rolled back as soon as it is deaf or blind by its own fault.

What is rolled back is not forgotten: the city gets an event, people an open issue and the status,
root a line in `config-outcome` of the run folder, by which the site file is put back
(`edge.gateway.sitefile`) or the operator is told (`edge.identity.renew`).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from msgspec import UNSET, UnsetType

from edge.config import Site
from edge.core import AsyncClock, Stamp
from edge.gateway import lastgood, trialjudge
from edge.gateway.changescope import ChangeScope, change_scope, touched_uplink, watched_parts
from edge.gateway.formerbroker import former_answers, former_places
from edge.gateway.lastgood import LastGood, file_digest, has_carrier
from edge.gateway.trialjudge import TrialJudge, TrialSight
from edge.gateway.trialoutcome import forget_outcome, write_outcome
from edge.gateway.trialstate import (
    OpenTrial,
    RejectedConfig,
    TrialMoment,
    TrialNotKeptError,
    TrialReason,
    WorkingParts,
)
from edge.gateway.trieddaemon import ConfigChangeError, TriedDaemon, TriedGateway
from edge.wire.contract.boxevent import ConfigChange, ConfigReason, Configuration

LOG: Final = logging.getLogger("kerbstone")

TAKE_NS: Final = 60_000_000_000  # from an announcement to `take`; then nobody comes any more
PROBLEM_KIND: Final = "configuration"  # of the event, and the name of the problem
TRIAL_TEXT: Final = "a changed configuration is on trial{}: {}"
CONFIRMED_TEXT: Final = "the changed configuration has run well, and is the last good one now"
UNCONFIRMED_TEXT: Final = "nobody confirmed it within {} s"
BY_HAND_TEXT: Final = "a person rolled it back"
NO_GOOD_TEXT: Final = (
    "no configuration has run well for five minutes on this box yet, so nothing could come back"
)
OTHER_FILE_TEXT: Final = "the site file is another one by now: look at it again"
NOT_BLAMED_TEXT: Final = "the former configuration cannot read {} either: tried again"


class ConfigControl:
    """One process and its site file. Belongs to the main loop."""

    def __init__(
        self,
        last_good: LastGood,
        clock: AsyncClock,
        boot: str,
        *,
        signed: bool = False,
        probe: Callable[[Sequence[tuple[str, int]]], bool] = former_answers,
        carrier: Callable[[], bool] = has_carrier,
        in_thread: Callable[..., Awaitable[Any]] = asyncio.to_thread,
    ) -> None:
        """`signed`: the file is the operator's, so nobody here may change it."""
        self._in_thread = in_thread
        self.last_good, self._clock, self._boot, self.signed = last_good, clock, boot, signed
        self._probe, self._carrier = probe, carrier
        self._daemon: TriedDaemon | None = None
        self._judge: TrialJudge | None = None
        self._former: list[tuple[str, int]] = []  # where the former configuration's brokers are
        self._changing = asyncio.Lock()
        self._taking = False  # a file is read, and it is not decided yet what it changes
        self._begun_ns = self._healthy_ns = self._back_ns = clock.now().mono_ns
        self._reached = False
        self._good = False  # the file that runs is the last good one
        self._told = ""  # what stands as a problem
        self._announced: tuple[str, int] | None = None  # digest, seconds within which to confirm
        self._announced_ns = 0
        self.waiting = ""  # a change that is under way, for people
        self.worked: WorkingParts | None = None  # when it was seen last; None: nothing was
        self.again = False  # the process shall start anew, in its own place

    # -- as time passes ----------------------------------------------------------------------------

    async def watch(self, daemon: TriedDaemon) -> None:
        """Until cancelled."""
        self._daemon = daemon
        self._begun_ns = self._healthy_ns = self._clock.now().mono_ns
        while True:
            await self._look(self._clock.now())
            await self._clock.sleep_until(self._clock.now().mono_ns + lastgood.LOOK_NS)

    async def _look(self, now: Stamp) -> None:
        assert self._daemon is not None
        gateway = self._daemon.gateway
        if gateway is None:
            self._healthy_ns = self._back_ns = now.mono_ns
            return
        self._tell(gateway)
        if self._changing.locked() or self._taking or self._is_replaced(now):
            return
        self.worked = self._working()
        trial = self._trial()
        if self.last_good.fallback:
            await self._look_at_fallback(gateway, now)
        elif trial is not None:
            try:
                await self._look_at_trial(gateway, trial, now)
            except ConfigChangeError as error:  # the last good one is no use to this version
                LOG.error("the configuration on trial stays: %s", error)
        elif not self._good:
            self._look_at_plain(gateway, now)

    def _look_at_plain(self, gateway: TriedGateway, now: Stamp) -> None:
        self._reached = self._reached or gateway.connected or not self._carrier()
        fine = gateway.healthy(now.mono_ns)
        self._healthy_ns = self._healthy_ns if fine and self._reached else now.mono_ns
        if now.mono_ns - self._healthy_ns >= lastgood.GOOD_NS:
            self._good = not self.last_good.is_good(_wall_s(now))

    async def _look_at_fallback(self, gateway: TriedGateway, now: Stamp) -> None:
        assert self._daemon is not None
        if self.last_good.mended():
            LOG.warning("%s is the last good configuration again", self.last_good.file)
            self._good = True
            self._tell(gateway)
            return
        found = self.last_good.trials.rejected(self.last_good.digest)
        if found is not None and not found.final:
            failing = gateway.failing().keys()
            if now.mono_ns - self._back_ns < trialjudge.BLIND_NS:
                return
            if failing >= set(found.blamed):  # it is not the file that is to blame for these
                await self._try_again(found)
                return
            self.last_good.trials.settle(found.digest)
            self._write_outcome(found)
        ran_s = (now.mono_ns - self._begun_ns) / 1e9
        if self.last_good.worth_a_try(_wall_s(now), ran_s):
            LOG.warning("the configuration that failed is tried again")
            self._daemon.stop()

    async def _look_at_trial(self, gateway: TriedGateway, trial: OpenTrial, now: Stamp) -> None:
        judge = self._judge or self._make_judge(trial, now.mono_ns)
        broker, why = gateway.link_words()
        sight = TrialSight(
            now.mono_ns,
            gateway.connected,
            self._carrier(),
            gateway.healthy(now.mono_ns),
            gateway.failing(),
            failures=gateway.connection_failures,
            broker=broker,
            why=why,
        )
        if judge.wants_probe(sight):
            answers = await self._in_thread(self._probe, self._former)
            if self._judge is not judge or self._changing.locked() or self._taking:
                return  # somebody has taken another file, or rolled back, in these seconds
            sight = replace(sight, former_answers=answers)
        finding = judge.look(sight)
        if finding is not None:
            await self._roll_back(finding.reason, finding.text, finding.blamed)
        elif (left_s := self._confirm_left_s(trial, now)) is not None and left_s <= 0:
            await self._roll_back("unconfirmed", UNCONFIRMED_TEXT.format(trial.confirm_s))
        elif left_s is None and judge.good(now.mono_ns):
            judge.held = self.last_good.is_good(_wall_s(now))
            self._good = self._trial() is None
            if self._good:
                self._tell_city("confirmed", CONFIRMED_TEXT)
                write_outcome(self._run_dir, self.last_good.digest, "confirmed", CONFIRMED_TEXT)

    def _make_judge(self, trial: OpenTrial, now_ns: int) -> TrialJudge:
        assert self._daemon is not None
        after, before = self._daemon.site, self.last_good.good_site()
        watched: set[str] = set()
        self._former = [] if before is None else former_places(before.uplink)
        if before is not None:
            watched = watched_parts(trial.worked, before, after) - set(trial.excused)
        self._judge = TrialJudge(
            now_ns,
            uplink=before is not None and touched_uplink(before, after),
            former="" if before is None else before.uplink.url,
            watched=frozenset(watched),
            good_ns=lastgood.GOOD_NS,
            brokers=len(after.uplink.urls),
        )
        return self._judge

    def _tell(self, gateway: TriedGateway) -> None:
        """Loudly, once; and no longer than it is true."""
        text = self.last_good.fallback
        if text == self._told:
            return
        found = self.last_good.trials.rejected(self.last_good.digest)
        if not text:
            gateway.withdraw(PROBLEM_KIND)
        elif found is None:  # a file that was edited by hand
            gateway.announce(PROBLEM_KIND, text)
        else:
            gateway.note(PROBLEM_KIND, text)
            self._tell_city("rolled_back", text, found.reason)
            if found.final:
                self._write_outcome(found)
        self._told = text

    # -- what may be done --------------------------------------------------------------------------

    def announce(self, digest: str, confirm_s: int) -> None:
        """A file with this digest is about to take the place of the present one.

        Without one that ran well there is nothing to go back to, and no trial. Raises
        ConfigChangeError where somebody relies on that, and while a change is under way: it could
        not be taken; TrialNotKeptError.
        """
        self._check_idle()
        if not self.last_good.good_bytes():
            if confirm_s:
                raise ConfigChangeError(NO_GOOD_TEXT)
            return
        now = self._clock.now()
        if self._trial() is not None and digest == self.last_good.digest:
            self.last_good.trials.renew(digest, confirm_s, now.mono_ns)
        elif not self._is_good(digest):
            self.last_good.trials.open(digest, self._working(), confirm_s=confirm_s)
        self._announced, self._announced_ns = (digest, confirm_s), now.mono_ns
        forget_outcome(self._run_dir, digest)

    async def take(self, digest: str) -> ChangeScope:
        """The file has been replaced: use it. What starts anew is under way on return.

        Raises ConfigChangeError, ConfigError; a TrialNotKeptError is one.
        """
        self._check_idle()
        assert self._daemon is not None
        data = self.last_good.present()
        if file_digest(data) != digest:
            raise ConfigChangeError(OTHER_FILE_TEXT)
        self._taking = True
        try:
            site: Site = await self._in_thread(lastgood.load_usable_site, self.last_good.file)
        finally:
            self._taking = False
        if self.last_good.present() != data:  # then nobody knows which of the two was read
            raise ConfigChangeError(OTHER_FILE_TEXT)
        scope = self._scope(site)
        now = self._clock.now()
        announced, confirm_s = self._announced or ("", 0)
        tried = not self._is_good(digest)
        if tried and self._trial_of(digest) is None and self.last_good.good_bytes():
            self.last_good.trials.open(digest, self._working())
        if not scope.daemon and self._trial_of(digest) is not None:
            self.last_good.trials.begin(digest, TrialMoment(self._boot, now.mono_ns, _wall_s(now)))
        if tried:
            confirm_s = confirm_s if announced == digest else 0
            self._tell_city("trial", TRIAL_TEXT.format(_within(confirm_s), scope.text))
        self._announced = None
        if scope.daemon:
            self._restart()
            return scope
        self.last_good.taken(data)
        self._change(site, scope)
        return scope

    def confirm(self, digest: str) -> None:
        """A person says that it may stay; its health has to show it as well. Raises
        ConfigChangeError, TrialNotKeptError."""
        if self._trial() is None or not self.last_good.trials.vouch(digest):
            raise ConfigChangeError("no configuration with this digest is on trial")

    async def roll_back(self, digest: str) -> ChangeScope:
        """A person wants the last good one back. Raises ConfigChangeError."""
        if self._trial_of(digest) is None or self.last_good.digest != digest:
            raise ConfigChangeError("no configuration with this digest is on trial")
        self._check_idle()
        return await self._roll_back("by_hand", BY_HAND_TEXT)

    def _is_replaced(self, now: Stamp) -> bool:
        """The announced file is in place, and whoever has put it there is about to say `take`."""
        if self._announced is None or now.mono_ns - self._announced_ns >= TAKE_NS:
            return False
        return file_digest(self.last_good.present()) == self._announced[0]

    def _check_idle(self) -> None:
        """Raises ConfigChangeError while a change is under way."""
        if self._changing.locked() or self._taking:
            what = self.waiting or "a site file is being read"
            raise ConfigChangeError(f"a change is under way: {what}; try again")

    async def _roll_back(
        self, reason: TrialReason, text: str, blamed: tuple[str, ...] = ()
    ) -> ChangeScope:
        assert self._daemon is not None
        good, now = self.last_good.good_site(), self._clock.now()
        if good is None:
            raise ConfigChangeError(NO_GOOD_TEXT)
        scope = self._scope(good)
        found = self.last_good.trials.reject(
            self.last_good.digest, reason, text, _wall_s(now), blamed
        )
        if found.final:
            self._write_outcome(found)
        self._back_ns = now.mono_ns
        if scope.daemon:
            self._restart()
            return scope
        self.last_good.returned(text)
        self._change(good, scope)
        return scope

    async def _try_again(self, found: RejectedConfig) -> None:
        """The devices for which it was rolled back are silent under the former one, too."""
        assert self._daemon is not None
        text = NOT_BLAMED_TEXT.format(", ".join(found.blamed))
        try:
            self.last_good.trials.again(found, tuple({*found.blamed, *found.excused}))
        except TrialNotKeptError as error:
            LOG.error("%s is not tried again yet: %s", self.last_good.file, error)
            self._back_ns = self._clock.now().mono_ns
            return
        self._tell_city("trial", text)
        self._restart()

    def _restart(self) -> None:
        assert self._daemon is not None
        self.again = True
        self._daemon.stop(again=True)

    def _change(self, site: Site, scope: ChangeScope) -> None:
        """In this process; a fault ends it, and that is a bad start."""
        assert self._daemon is not None
        self._judge, self._good, self._reached = None, False, False
        self.waiting = scope.text
        daemon = self._daemon

        async def change() -> None:
            async with self._changing:
                await daemon.change(site, scope)
                self._healthy_ns = self._back_ns = self._clock.now().mono_ns
                if not self.last_good.fallback:
                    self.last_good.trials.in_effect(self.last_good.digest, self._back_ns)
                self.waiting = ""

        task = asyncio.create_task(change(), name="configuration change")
        self._task = task
        task.add_done_callback(self._changed)

    def _changed(self, task: "asyncio.Task[None]") -> None:
        assert self._daemon is not None
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.error("the configuration cannot be changed in this process: %r", error)
            self._restart()

    # -- what is asked -----------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """For people and programs; seconds. Documented in `edge.gateway.configverb`."""
        now, last = self._clock.now(), self.last_good
        present = file_digest(last.present())
        trial, rejected = self._trial(), last.trials.rejected(last.digest)
        judge = self._judge
        state = "none"
        if last.fallback:
            state = "rolled_back"
        elif trial is not None:
            state = "trial"
        elif self._good or self._is_good(last.digest):
            state = "confirmed"
        return {
            "file": str(last.file),
            "signed": self.signed,
            "digest": present,
            "running": last.digest if not last.fallback else file_digest(last.good_bytes()),
            "changed": present != last.digest,
            "state": state,
            "reason": rejected.reason if rejected is not None and last.fallback else "",
            "text": last.fallback,
            "waiting": self.waiting,
            "trial": None
            if trial is None or last.fallback
            else {
                "digest": trial.digest,
                "vouched": trial.vouched,
                "confirm_s": trial.confirm_s,
                "confirm_left_s": _rounded(self._confirm_left_s(trial, now)),
                "health_left_s": _rounded(None if judge is None else judge.left_s(now.mono_ns)),
                "held": "" if judge is None else judge.held,
            },
        }

    def trial_text(self) -> str:
        """For the list of issues: a trial that needs a person; "" for none."""
        trial = self._trial()
        if trial is None or self.last_good.fallback:
            return ""
        left_s = self._confirm_left_s(trial, self._clock.now())
        if left_s is not None:
            return "The changed configuration is rolled back unless it is confirmed in time"
        if self._judge is not None and self._judge.held:
            return f"The changed configuration stays on trial: {self._judge.held}"
        return ""

    # ----------------------------------------------------------------------------------------------

    def _trial(self) -> OpenTrial | None:
        found = self.last_good.trials.on_trial(self.last_good.digest)
        return found if found is not None and found.running else None

    def _trial_of(self, digest: str) -> OpenTrial | None:
        return self.last_good.trials.on_trial(digest)

    def _is_good(self, digest: str) -> bool:
        good = self.last_good.good_bytes()
        return bool(good) and file_digest(good) == digest

    def _working(self) -> WorkingParts | None:
        gateway = self._gateway
        if gateway is None:
            return None
        trial = self._trial()
        # one that is on trial may read less than the last good one, and that is what counts
        return gateway.working() if trial is None else trial.worked

    def _scope(self, site: Site) -> ChangeScope:
        assert self._daemon is not None
        scope = change_scope(self._daemon.site, site)
        if not scope.daemon and not self._daemon.can_change(site):
            return replace(scope, daemon="all sources of records")
        return scope

    def _confirm_left_s(self, trial: OpenTrial, now: Stamp) -> float | None:
        """None: nobody has to confirm it, or somebody has."""
        if not trial.confirm_s or trial.vouched:
            return None
        return trial.confirm_s - (now.mono_ns - trial.since_ns) / 1e9

    @property
    def _gateway(self) -> TriedGateway | None:
        return None if self._daemon is None else self._daemon.gateway

    @property
    def _run_dir(self) -> Path:
        assert self._daemon is not None
        return Path(self._daemon.site.store.run_dir)

    def _tell_city(
        self, outcome: ConfigChange, text: str, reason: ConfigReason | UnsetType = UNSET
    ) -> None:
        if (gateway := self._gateway) is not None:
            digest = self.last_good.digest[:12]
            gateway.report(Configuration(text=text, outcome=outcome, reason=reason, digest=digest))

    def _write_outcome(self, found: RejectedConfig) -> None:
        write_outcome(self._run_dir, found.digest, "rolled_back", found.text, found.reason)


def _wall_s(now: Stamp) -> int:
    return now.wall_ns // 1_000_000_000


def _within(confirm_s: int) -> str:
    return f", to be confirmed within {confirm_s} s" if confirm_s else ""


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(0.0, seconds), 1)

"""The configuration of a running daemon: watches the one that is on trial, and changes it.

A configuration is good after five minutes of good health in a row: each owner (buses, committer,
sender) has worked and none is overdue, and the broker was reached, or could not be because no
network is plugged in. A daemon that can do all but reach its broker is no bad start, and no good
one: its URL may be what is wrong. One that was changed as a transaction is held to more
(`edge.gateway.trialjudge`): it is rolled back as soon as it is deaf or blind by its own fault.

What is rolled back is not forgotten: `edge.gateway.trialreports` tells it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from edge.config import Site
from edge.core import AsyncClock, Stamp
from edge.gateway import lastgood, trialjudge
from edge.gateway.changescope import ChangeScope, change_scope, touched_uplink, watched_parts
from edge.gateway.changeunderway import ChangeUnderWay
from edge.gateway.formerbroker import former_answers, former_places
from edge.gateway.lastgood import LastGood, file_digest, has_carrier
from edge.gateway.trialjudge import TrialJudge, TrialSight
from edge.gateway.trialreports import TrialReports
from edge.gateway.trialstate import (
    OpenTrial,
    RejectedConfig,
    TrialMoment,
    TrialNotKeptError,
    TrialReason,
    WorkingParts,
)
from edge.gateway.trialstatus import confirm_left_s, file_status, trial_issue, trial_status
from edge.gateway.trieddaemon import (
    ConfigChangeError,
    TriedDaemon,
    TriedGateway,
)

LOG: Final = logging.getLogger("kerbstone")

TAKE_NS: Final = 60_000_000_000  # from an announcement to `take`; then nobody comes any more
TRIAL_TEXT: Final = "a changed configuration is on trial{}: {}"
UNCONFIRMED_TEXT: Final = "nobody confirmed it within {} s"
BY_HAND_TEXT: Final = "a person rolled it back"
NO_GOOD_TEXT: Final = (
    "no configuration has run well for five minutes on this box yet, so nothing could come back"
)
OTHER_FILE_TEXT: Final = "the site file is another one by now: look at it again"
EDITED_TEXT: Final = (
    "the site file has been edited since: `kerbstone config apply`, or restart the daemon"
)
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
        self._change, self._reports = ChangeUnderWay(), TrialReports(last_good)
        self._taking = False  # a file is read, and it is not decided yet what it changes
        self._begun_ns = self._healthy_ns = self._back_ns = clock.now().mono_ns
        self._reached = False
        self._good = False  # the file that runs is the last good one
        self._announced: tuple[str, int] | None = None  # digest, seconds within which to confirm
        self._announced_ns = 0
        self.worked: WorkingParts | None = None  # when it was seen last; None: nothing was
        self.again = False  # the process shall start anew, in its own place

    # -- as time passes ----------------------------------------------------------------------------

    async def watch(self, daemon: TriedDaemon) -> None:
        """Until cancelled."""
        self._daemon = self._reports.daemon = daemon
        self._begun_ns = self._healthy_ns = self._clock.now().mono_ns
        if self._trial() is not None:  # it may have been rolled back in this boot, and applied anew
            self._reports.forget(self.last_good.digest)
        while True:
            await self._look(self._clock.now())
            await self._clock.sleep_until(self._clock.now().mono_ns + lastgood.LOOK_NS)

    async def _look(self, now: Stamp) -> None:
        assert self._daemon is not None
        gateway = self._daemon.gateway
        if gateway is None:
            self._healthy_ns = self._back_ns = now.mono_ns
            return
        self._reports.look(gateway, self._left_text())
        if self._change.busy or self._taking or self._is_replaced(now):
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
            self._reports.look(gateway, "")
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
            self._reports.rejected(found)
        ran_s = (now.mono_ns - self._begun_ns) / 1e9
        if self.last_good.worth_a_try(_wall_s(now), ran_s):
            if found is not None and not self._open_trial():
                return
            LOG.warning("the configuration that failed is tried again")
            self._daemon.stop()

    def _open_trial(self) -> bool:
        """Of what lies in the place of a file that was rolled back: nobody has started the daemon
        for it, so maybe nobody looks on. False: the card does not keep it."""
        digest = file_digest(self.last_good.present())
        try:
            if self.last_good.trials.on_trial(digest) is None:
                self.last_good.trials.open(digest, self._working())
        except TrialNotKeptError as error:
            LOG.error("%s is not tried yet: %s", self.last_good.file, error)
            return False
        return True

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
            if self._judge is not judge or self._change.busy or self._taking:
                return  # somebody has taken another file, or rolled back, in these seconds
            sight = replace(sight, former_answers=answers)
        finding = judge.look(sight)
        if finding is not None:
            await self._roll_back(finding.reason, finding.text, finding.blamed)
        elif (left_s := confirm_left_s(trial, now)) is not None and left_s <= 0:
            await self._roll_back("unconfirmed", UNCONFIRMED_TEXT.format(trial.confirm_s))
        elif left_s is None and judge.good(now.mono_ns):
            judge.held = self.last_good.is_good(_wall_s(now))
            self._good = self._trial() is None
            if self._good:
                self._reports.confirmed()
            elif not judge.held:
                judge.held = EDITED_TEXT

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

    def _left_text(self) -> str:
        return "" if self._good else self.last_good.trials.left_text(self.last_good.digest)

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
        elif not self.last_good.is_last_good(digest):
            self.last_good.trials.open(digest, self._working(), confirm_s=confirm_s)
        self._announced, self._announced_ns = (digest, confirm_s), now.mono_ns
        self._reports.forget(digest)

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
        tried = not self.last_good.is_last_good(digest)
        trials = self.last_good.trials
        if tried and trials.on_trial(digest) is None and self.last_good.good_bytes():
            trials.open(digest, self._working())
        if not scope.daemon and trials.on_trial(digest) is not None:
            trials.begin(digest, TrialMoment(self._boot, now.mono_ns, _wall_s(now)))
        if tried:
            confirm_s = confirm_s if announced == digest else 0
            self._reports.city("trial", TRIAL_TEXT.format(_within(confirm_s), scope.text))
        else:
            self.last_good.trials.leave(digest)
        self._announced = None
        if scope.daemon:
            self._restart()
            return scope
        self.last_good.taken(data)
        self._begin(site, scope, back=False)
        return scope

    def confirm(self, digest: str) -> None:
        """A person says that it may stay; its health has to show it as well. Raises
        ConfigChangeError, TrialNotKeptError."""
        if self._trial() is None or not self.last_good.trials.vouch(digest):
            raise ConfigChangeError("no configuration with this digest is on trial")

    async def roll_back(self, digest: str) -> ChangeScope:
        """A person wants the last good one back. A change that still waits for the end of a window
        is withdrawn, one that has begun is made first, in seconds. Raises ConfigChangeError."""
        self._check_tried(digest)
        if self._taking:
            self._check_idle()
        await self._change.end()
        self._check_tried(digest)  # another one may have been here meanwhile
        self._check_idle()
        return await self._roll_back("by_hand", BY_HAND_TEXT)

    def _check_tried(self, digest: str) -> None:
        if self.last_good.trials.on_trial(digest) is None or self.last_good.digest != digest:
            raise ConfigChangeError("no configuration with this digest is on trial")

    def _is_replaced(self, now: Stamp) -> bool:
        """The announced file is in place, and whoever has put it there is about to say `take`."""
        if self._announced is None or now.mono_ns - self._announced_ns >= TAKE_NS:
            return False
        return file_digest(self.last_good.present()) == self._announced[0]

    def _check_idle(self) -> None:
        """Raises ConfigChangeError while a change is under way."""
        if self._change.busy or self._taking:
            what = self._change.text or "a site file is being read"
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
            self._reports.rejected(found)
        self._back_ns = now.mono_ns
        if scope.daemon:
            self._restart()
            return scope
        self.last_good.returned(text)
        self._begin(good, scope, back=True)
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
        self._reports.city("trial", text)
        self._restart()

    def _restart(self) -> None:
        assert self._daemon is not None
        self.again = True
        self._daemon.stop(again=True)

    def _begin(self, site: Site, scope: ChangeScope, *, back: bool) -> None:
        """Change in this process; a fault ends it, and that is a bad start."""
        assert self._daemon is not None
        self._judge, self._good, self._reached = None, False, False
        self._change.begin(
            self._daemon, site, scope, back=back, made=self._made, failed=self._restart
        )

    def _made(self) -> None:
        """What was changed is in effect."""
        self._healthy_ns = self._back_ns = self._clock.now().mono_ns
        if not self.last_good.fallback:
            self.last_good.trials.in_effect(self.last_good.digest, self._back_ns)

    # -- what is asked -----------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """For people and programs; seconds. Documented in `edge.gateway.configverb`."""
        last, trial = self.last_good, self._trial()
        good = self._good or self.last_good.is_last_good(last.digest)
        shown = None if last.fallback else trial
        return {
            **file_status(last, trial, good=good),
            "signed": self.signed,
            "text": last.fallback or self._left_text(),
            "waiting": self._change.text,
            "trial": None if shown is None else trial_status(shown, self._judge, self._clock.now()),
        }

    @property
    def waiting(self) -> str:
        """A change that is under way, for people; "" for none."""
        return self._change.text

    def trial_word(self, digest: str) -> str:
        """Of a file that was taken: `open`, `good` or `nothing` (`edge.gateway.configverb`)."""
        if self.last_good.is_last_good(digest):
            return "good"
        return "open" if self.last_good.trials.on_trial(digest) is not None else "nothing"

    def trial_text(self) -> str:
        """For the list of issues: a trial that needs a person; "" for none."""
        trial = self._trial()
        if trial is None or self.last_good.fallback:
            return ""
        return trial_issue(trial, self._judge, self._clock.now())

    def _trial(self) -> OpenTrial | None:
        found = self.last_good.trials.on_trial(self.last_good.digest)
        return found if found is not None and found.running else None

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

    @property
    def _gateway(self) -> TriedGateway | None:
        return None if self._daemon is None else self._daemon.gateway


def _wall_s(now: Stamp) -> int:
    return now.wall_ns // 1_000_000_000


def _within(confirm_s: int) -> str:
    return f", to be confirmed within {confirm_s} s" if confirm_s else ""

"""Runs a candidate beside the live model: the same input, a state of its own, never a flag.

    shadow = Shadow("anomaly", folder)
    shadow.load()                                   # after the live model
    shadow.see(now_ns, live, feed, outputs, rows)   # with every answer of the live model

What the two say is compared and counted. A candidate that does not prove itself, takes other input,
answers what cannot be, or is late, is dropped, and the report says so: the live model and the flags
notice nothing of it. Nothing is kept over a restart: the counts are since the start.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from edge.infer.bundlemanifest import BundleManifest, ModelError, ModelInputError
from edge.infer.hysteresis import HysteresisFlag
from edge.infer.modelsession import ModelSession
from edge.wire.contract.models import Candidate, DisagreementStatus

if TYPE_CHECKING:
    from edge.infer.modelsession import Tensor

LATE: Final = 3  # answers in a row over the budget; one alone may be the machine's fault
LONGEST_S: Final = 60.0  # a step: a pause before it is not a window
LAST_DIFFERENCES: Final = 16  # disagreements that are kept
ROWS_LIMIT: Final = 1024  # rows that are known; further ones are left out

OnOff = tuple[float, float]
Score = Literal["first", "others"]

log = logging.getLogger(__name__)


class Shadow:
    """One candidate. Not for more than one thread, but `load` may run in one of its own.

    `quiet_s` is how long a level must be low before the judge lets a flag go off. `score` says what
    of the first output raises it: its first column, or the others (the first: nothing is wrong).
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        quiet_s: float = 0.0,
        score: Score = "first",
        open_session: Callable[[Path], ModelSession] = ModelSession,
    ) -> None:
        self.name = name
        self.dropped = ""  # why, when it is
        self._folder, self._quiet_s, self._open = folder, quiet_s, open_session
        self._score: Score = score
        self._stepper: Stepper | None = None
        self._live: BundleManifest | None = None
        self._compared: ModelComparison | None = None
        self._former_ns: int | None = None
        self._late = 0
        self._runs = 0
        self._all_ms = self._most_ms = 0.0
        self._now_ns = 0

    def load(self) -> bool:
        """Load and prove it; False, and dropped, when it cannot be used."""
        try:
            session = self._open(self._folder)
        except ModelError as error:
            self._drop(str(error))
            return False
        self._stepper = Stepper(session)  # last: from here on `see` runs it
        return True

    def see(
        self,
        now_ns: int,
        live: BundleManifest,
        inputs: Mapping[str, Tensor],
        outputs: Sequence[Tensor],
        rows: Sequence[str],
    ) -> None:
        """Give it what the live model was given for these rows, and compare the answers.

        `live` is the live model's manifest. `feed` may hold its state: that is left out. Raises
        nothing for what the candidate does.
        """
        stepper = self._stepper
        if stepper is None or self.dropped:
            return
        if live is not self._live and not self._fits(live, stepper):
            return
        fed = {name: inputs[name] for name in live.fed}
        try:
            answer = stepper.step(fed, rows)
        except ModelInputError:
            return  # the live model was refused the same
        except ModelError as error:
            self._drop(str(error))
            return
        if self._is_late(stepper.session):
            return
        dt_s = self._length_s(now_ns)
        theirs = _flags_of(stepper.session.manifest, answer, fed, self._score)
        compared = self._compared
        assert compared is not None
        lives = _flags_of(live, outputs, fed, self._score)
        for name, ours, other in zip(rows, lives, theirs, strict=True):
            if ours is not None and other is not None:
                compared.row(now_ns, name, ours, other, dt_s)

    def _fits(self, live: BundleManifest, stepper: Stepper) -> bool:
        """Is it fed what the live model is fed? Called anew when another model goes live."""
        own = stepper.session.manifest
        if dict(own.fed) != dict(live.fed):
            self._drop(f"it takes {_model_text(own)}; the live model takes {_model_text(live)}")
            return False
        if self._live is None or self._live.sha256 != live.sha256:
            self._compared = ModelComparison((live.on, live.off), (own.on, own.off), self._quiet_s)
        self._live = live
        return True

    def _is_late(self, session: ModelSession) -> bool:
        took_ms, allowed_ms = session.took_ms, session.manifest.budget_ms
        self._runs += 1
        self._all_ms += took_ms
        self._most_ms = max(self._most_ms, took_ms)
        self._late = self._late + 1 if took_ms > allowed_ms else 0
        if self._late >= LATE:
            self._drop(f"late {LATE} times in a row: {took_ms:.0f} ms, {allowed_ms:g} are allowed")
        return bool(self.dropped)

    def _length_s(self, now_ns: int) -> float:
        before, self._former_ns = self._former_ns, now_ns
        self._now_ns = now_ns
        return LONGEST_S if before is None else min(LONGEST_S, max(0.001, (now_ns - before) / 1e9))

    def _drop(self, why: str) -> None:
        log.warning("candidate for model %s: %s; it is dropped", self.name, why)
        self.dropped, self._stepper = why, None

    def report(self) -> Candidate:
        """For people: what runs, how it compares, how long it takes, or why it was dropped.

        `last` are the latest disagreements, each so many seconds before the latest window.
        """
        own = self._stepper.session.manifest if self._stepper else None
        compared = self._compared
        found = Candidate(
            model=f"{own.name} {own.version}" if own else None,
            sha256=own.sha256[:12] if own else "",
            dropped=self.dropped,
            ms=round(self._all_ms / self._runs, 3) if self._runs else None,
            most_ms=round(self._most_ms, 3) if self._runs else None,
            samples=0,
            last=[
                DisagreementStatus(
                    before_s=round((self._now_ns - one.at_ns) / 1e9, 1),
                    row=one.row,
                    live="on" if one.live else "off",
                    candidate="on" if one.candidate else "off",
                    live_score=round(one.live_up, 3),
                    candidate_score=round(one.candidate_up, 3),
                )
                for one in (compared.last if compared else ())
            ],
        )
        if compared is not None:
            found.samples, found.agree = compared.samples, compared.agree
            found.only_live, found.only_candidate = compared.only_live, compared.only_candidate
            found.on_live, found.on_candidate = compared.on_live, compared.on_candidate
            found.difference = compared.difference
        return found


def _flags_of(
    manifest: BundleManifest, outputs: Sequence[Any], fed: Mapping[str, Any], score: Score
) -> list[ModelFlags | None]:
    """What a model says of each row: its score, and its level where there is one.

    None for a row of which nothing is known: its value is missing, or the model says so.
    """
    places = {output.name: i for i, output in enumerate(manifest.outputs)}
    first = outputs[0][:, 0]
    up = (first if score == "first" else 1.0 - first).tolist()
    down = outputs[places["level"]][:, 0].tolist() if "level" in places else up
    known = [True] * len(up)
    if "known" in places:
        known = (outputs[places["known"]][:, 0] > 0.5).tolist()
    elif "present" in fed and fed["present"].shape[1] == 1:
        known = (fed["present"][:, 0] > 0.5).tolist()
    return [ModelFlags(a, b) if here else None for a, b, here in zip(up, down, known, strict=True)]


def _model_text(manifest: BundleManifest) -> str:
    return ", ".join(f"{name} {width}" for name, width in sorted(manifest.fed.items()))


def candidate_of(shadow: Path | None, name: str) -> Path | None:
    """The bundle of this name in the folder of candidates; None when there is none."""
    folder = shadow / name if shadow else None
    return folder if folder and (folder / "manifest.json").is_file() else None


class ModelFlags(NamedTuple):
    """What one model says of one row: `up` raises its flag, `down` clears it."""

    up: float
    down: float


@dataclass(frozen=True, slots=True)
class Disagreement:
    """From `at_ns` on the flags of this row differ."""

    at_ns: int
    row: str
    live: bool
    candidate: bool
    live_up: float
    candidate_up: float


class ModelComparison:
    """Two models over the same rows; each has flags by its own thresholds."""

    def __init__(self, live: OnOff, candidate: OnOff, quiet_s: float = 0.0) -> None:
        self._live, self._candidate, self._quiet_s = live, candidate, quiet_s
        self._flags: dict[str, tuple[HysteresisFlag, HysteresisFlag]] = {}
        self.samples = self.agree = 0
        self.only_live = self.only_candidate = 0  # samples in which just this flag is up
        self.on_live = self.on_candidate = 0  # times that a flag went on
        self._differ = 0.0
        self.last: deque[Disagreement] = deque(maxlen=LAST_DIFFERENCES)

    def row(
        self, at_ns: int, name: str, live: ModelFlags, candidate: ModelFlags, dt_s: float
    ) -> None:
        """One row in one window of `dt_s` seconds."""
        flags = self._flags.get(name)
        if flags is None:
            if len(self._flags) >= ROWS_LIMIT:
                return
            flags = (
                HysteresisFlag(*self._live, self._quiet_s),
                HysteresisFlag(*self._candidate, self._quiet_s),
            )
            self._flags[name] = flags
        one, two = flags
        apart = one.raised != two.raised
        self.on_live += one.step(*live, dt_s) == "on"
        self.on_candidate += two.step(*candidate, dt_s) == "on"
        self.samples += 1
        self._differ += abs(live.up - candidate.up)
        if one.raised == two.raised:
            self.agree += 1
            return
        self.only_live += one.raised
        self.only_candidate += two.raised
        if not apart:
            self.last.append(
                Disagreement(at_ns, name, one.raised, two.raised, live.up, candidate.up)
            )

    @property
    def difference(self) -> float | None:
        """Mean absolute difference of what raises flags."""
        return round(self._differ / self.samples, 4) if self.samples else None

    def report(self) -> dict[str, Any]:
        """Counts of samples and turns, and the mean absolute difference of what raises flags."""
        return {
            "samples": self.samples,
            "agree": self.agree,
            "only_live": self.only_live,
            "only_candidate": self.only_candidate,
            "on_live": self.on_live,
            "on_candidate": self.on_candidate,
            "difference": self.difference,
        }


class Stepper:
    """A session and the state of its rows: begun where one is new, kept while rows come and go.

    Judges keep the state of their own model themselves.
    """

    def __init__(self, session: ModelSession) -> None:
        self.session = session
        manifest = session.manifest
        names = [output.name for output in manifest.outputs]
        self._out = names.index("state_out") if "state_out" in names else None
        self._first = any(manifest.times_first)  # a state that begins with a first value
        self._names: tuple[str, ...] = ()
        self._begun: list[bool] = []
        self._state: Tensor | None = None

    def step(self, inputs: Mapping[str, Tensor], rows: Sequence[str]) -> list[Any]:
        """All outputs for a feed without state, a row for each name. Raises ModelError."""
        self._line_up(tuple(rows))
        given = dict(inputs)
        if self._out is not None:
            if not all(self._begun):
                given["present"] = self._begin(inputs)
            assert self._state is not None
            given["state"] = self._state
        answer = self.session.run(given)
        if self._out is not None:
            self._state = answer[self._out]
        return answer

    def _line_up(self, rows: tuple[str, ...]) -> None:
        if rows == self._names:
            return
        former = self._state
        places = {} if former is None else {name: i for i, name in enumerate(self._names)}
        state: Any = self.session.started([0.0] * len(rows))
        begun = [not self._first] * len(rows)
        for i, name in enumerate(rows):
            if former is not None and (was := places.get(name)) is not None:
                state[i], begun[i] = former[was], self._begun[was]
        self._names, self._state, self._begun = rows, state, begun

    def _begin(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The first value of a row is where its state begins, not a step."""
        assert self._state is not None
        present = inputs["present"].copy()
        for i, begun in enumerate(self._begun):
            if not begun and present[i, 0] > 0.5:
                self._state[i] = self.session.started([float(inputs["x"][i, 0])])[0]
                self._begun[i], present[i, 0] = True, 0.0
        return present

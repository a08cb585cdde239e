"""From what came in to what goes out: engine and judge, joined. Opens nothing, so that the
daemon, `replay` and the demo's warm-up run the very same code."""

from edge.core import Draft
from edge.infer.judge import Judge
from edge.process.engine import Engine


class Pipeline:
    """Closes windows and lets the models judge them. What comes in is given to the engine."""

    def __init__(self, engine: Engine, judge: Judge) -> None:
        self.engine, self.judge = engine, judge
        self._loaded = False

    def load(self) -> None:
        """Load the models, once; until then their rules answer."""
        if not self._loaded:
            self._loaded = True
            self.judge.load()

    def close(
        self, end_ns: int, *, partial: bool = False, wall_s: float | None = None
    ) -> list[Draft]:
        """All records of the window that ends at `end_ns`, then the flags they raise.

        `wall_s` is that moment in seconds since 1970; None while nobody can be sure of it.
        """
        drafts = self.engine.close(
            end_ns,
            partial=partial,
            doubt=lambda ticks, events: self.judge.doubt(end_ns, ticks, events, wall_s),
        )
        verdict = self.judge.judge(end_ns, drafts, self.engine.ticks, wall_s)
        return [*verdict.drafts, *verdict.events]

    def lost(self, from_ns: int, to_ns: int) -> None:
        """Nobody listened in between."""
        self.engine.mark_gap(from_ns, to_ns)
        self.judge.missing(from_ns, to_ns)

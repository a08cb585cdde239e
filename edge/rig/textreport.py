"""What became of a scenario, for a terminal: failed expectations first, each with its moment."""

from collections.abc import Iterator, Sequence
from typing import Final

from edge.rig.htmlreport import summary
from edge.rig.judgedrun import seconds
from edge.rig.outcome import WORDS, Outcome, Verdict, verdict_of, worst_first
from edge.rig.runlog import RunLog
from edge.rig.scenario import Scenario

SIGNS: Final[dict[Verdict, str]] = {"pass": "ok", "fail": "FAILED", "not_evaluated": "NOT JUDGED"}


def outcome_lines(scenario: Scenario, log: RunLog, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """For a terminal."""
    for each in worst_first(outcomes):
        where = "" if each.moment_s is None else f" [at {seconds(each.moment_s)}]"
        yield f"{SIGNS[each.verdict]:10} {each.name}{where}"
        if each.verdict != "pass":
            yield f"           {each.text}"
    verdict = verdict_of(outcomes)
    yield f"{scenario.about.name} on {log.layer}: {WORDS[verdict]} ({summary(outcomes)})"

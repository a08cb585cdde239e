"""The report of a run for programs: one JSON object, format 1.

    format     1
    scenario   name; verdict of the whole: pass, fail, not_evaluated
    counts     how many outcomes of each verdict
    run        layer, seed, box, ending, text, lasted_s, clock_bound_s; heard: how many
               rows; stalls: how often the rig was late
    outcomes   name, what, place, verdict, text, moment_s (or null), rows

`place` is the number of the `[[expect]]` in the file, from 0, or null for what the rig added;
`rows` are numbers of rows of `heard` in the run's own file. A reader must not mind keys that it
does not know; a key that goes, or means something else, makes it format 2.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from msgspec import to_builtins

from edge.core.release import VERSION
from edge.rig.outcome import WORST_FIRST, Outcome, verdict_of
from edge.rig.runlog import RunLog
from edge.rig.scenario import Scenario

FORMAT: Final = 1


def json_report(scenario: Scenario, log: RunLog, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The outcomes in the order of the file."""
    count = Counter(each.verdict for each in outcomes)
    return {
        "format": FORMAT,
        "kerbstone": VERSION,
        "scenario": scenario.about.name,
        "verdict": verdict_of(outcomes),
        "counts": {each: count[each] for each in WORST_FIRST},
        "run": {
            "layer": log.layer,
            "seed": log.seed,
            "box": log.box,
            "ending": log.ending,
            "text": log.text,
            "lasted_s": log.lasted_s,
            "clock_bound_s": log.clock_bound_s,
            "heard": len(log.heard),
            "stalls": len(log.stalls),
        },
        "outcomes": [to_builtins(each) for each in outcomes],
    }

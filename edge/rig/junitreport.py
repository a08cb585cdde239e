"""The report of a run as JUnit XML, as Jenkins and GitLab read it: a scenario is a suite, an
expectation a case.

What was not evaluated is an `error`, not `skipped`: a build with skipped cases is green, and a
scenario of which nobody knows whether the box did right must not be.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from edge.rig.outcome import Outcome, Verdict
from edge.rig.runlog import RunLog
from edge.rig.scenario import Scenario

ELEMENTS: Final[dict[Verdict, str]] = {"fail": "failure", "not_evaluated": "error"}
NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_report(scenario: Scenario, log: RunLog, outcomes: Sequence[Outcome]) -> str:
    """A whole document. `time` is the run's length by the rig's clock, on `sim` a virtual one."""
    count = Counter(each.verdict for each in outcomes)
    suite = _attribute(f"{scenario.about.name} ({log.layer})")
    counts = f'tests="{len(outcomes)}" failures="{count["fail"]}" '
    counts += f'errors="{count["not_evaluated"]}" time="{log.lasted_s:.3f}"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="kerbstone rig" {counts}>',
        f'<testsuite name={suite} skipped="0" {counts}>',
        f'<properties><property name="seed" value="{log.seed}"/>'
        f'<property name="box" value={_attribute(log.box)}/></properties>',
    ]
    for each in outcomes:
        name = f'<testcase classname={suite} name={_attribute(each.name)} time="0"'
        element = ELEMENTS.get(each.verdict)
        if element is None:
            lines.append(f"{name}/>")
            continue
        where = "" if each.moment_s is None else f" (at {each.moment_s:.1f} s)"
        lines += [
            f"{name}>",
            f'<{element} type="{each.what}" message={_attribute(each.text)}>'
            f"{escape(_clean(each.text + where))}</{element}>",
            "</testcase>",
        ]
    return "\n".join([*lines, "</testsuite>", "</testsuites>", ""])


def _attribute(text: str) -> str:
    return quoteattr(_clean(text))


def _clean(text: str) -> str:
    """Characters that no XML may hold are told by their number."""
    return NO_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)

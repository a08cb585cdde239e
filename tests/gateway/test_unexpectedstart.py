"""What a start that nobody expected is told with: where to read depends on what has ended."""

from typing import get_args

import pytest

from edge.gateway.issuefindings import START_REMEDIES, START_TEXTS, box_findings
from edge.health.reboot import Cause, Reset, reboot_cause
from edge.wire.contract.health import Health, RebootCause


def test_a_killed_daemon_is_looked_for_in_the_log_of_this_boot() -> None:
    start = reboot_cause(Reset(), first=False, same_boot=True, unclean=True)
    assert start.cause is Cause.CRASH
    (found,) = box_findings({}, Health(), "crash", start.text)
    assert "journalctl -u kerbstone -b" in found.remedy
    assert "-1" not in found.remedy + found.cause  # that is the boot before


@pytest.mark.parametrize("cause", get_args(RebootCause))
def test_each_cause_that_is_an_issue_has_its_own_remedy(cause: RebootCause) -> None:
    found = list(box_findings({}, Health(), cause, "It is so."))
    assert [bool(each.remedy) for each in found] == [True] * (cause in START_TEXTS)
    assert set(START_TEXTS) == set(START_REMEDIES)

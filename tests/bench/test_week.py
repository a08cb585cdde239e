"""A week without network at the nominal rate, in virtual time."""

import pytest

from tests.bench.outage import LIMIT, Week
from tests.bench.report import Report

pytestmark = pytest.mark.bench


def test_a_week_without_network(week: Week, report: Report) -> None:
    fed, counts, found = week.fed, week.counts, week.found
    how = f"20 meters x 10 points, 1 s, period 60 s; {week.took_s:.0f} s for {fed.commits} commits"
    add = report.add
    add("a week without network: outbox", counts.size / 1e6, LIMIT / 1e6, "MB", "its limit", how)
    add("  rows of it, whole", found.whole, sum(fed.drafts.values()), "", "made")
    report.say("  merged, dropped", f"{counts.downsampled} rows merged, {counts.dropped} dropped")
    day = 86_400
    add(
        "  room lasts, said after a day", week.foretold_s / day, week.true_s / day, "d",
        "as the week's size says", f"with downsampling it says {week.downsampled_s / day:.0f} d",
    )  # fmt: skip

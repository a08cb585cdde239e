"""A million rows through `kerbstone score`: what it needs does not grow with them."""

import pytest

from tests.bench.report import Report
from tests.bench.scoring import score

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

ROWS, FIRST, LIMIT_KIB = 1_000_000, 100_000, 5 * 1024


def test_a_million_rows_need_no_more_memory_than_a_tenth(report: Report) -> None:
    pytest.importorskip("onnxruntime")
    found = score(ROWS, FIRST)
    how = f"VmRSS from row {FIRST:,} on; {found.rows_per_s:,.0f} rows/s in a pipe"
    report.add("score, memory grown by", found.grown_kib / 1024, LIMIT_KIB / 1024, "MiB", "limit",
               how)  # fmt: skip
    assert found.grown_kib < LIMIT_KIB

"""Bytes on the wire for each value, against plain JSON telemetry in the same minutes."""

import pytest

from tests.bench.nominal import MINUTES, POINTS, READINGS, UNITS, NominalUse
from tests.bench.report import Report

pytestmark = pytest.mark.bench

SUMMARIES = UNITS * POINTS * MINUTES  # points of all records of this time
HOW = f"20 meters x 10 points, 1 s, {MINUTES} min; all bytes up, MQTT among them"


def test_bytes_of_a_value(nominal: dict[str, NominalUse], report: Report) -> None:
    script = nominal["script"].up / READINGS
    against = "JSON a meter, QoS 1"
    for name, what in (("summaries", "MessagePack"), ("json", "JSON")):
        used = nominal[name]
        assert used.records == UNITS * MINUTES, f"{name}: {used.records} records came"
        records = used.up - used.last
        what = f"summaries as {what}"
        report.add(f"bytes of a reading, {what}", records / READINGS, script, "B", against, HOW)
        report.add("  with the retained last ones", used.up / READINGS, script, "B", against)
        report.add(
            "  of a published value", records / SUMMARIES, script, "B", against,
            "count, sum, squares, least, most, mean and qualities of 60 readings",
        )  # fmt: skip
    raw = nominal["raw"].up / READINGS
    report.add("bytes of a reading, raw", raw, script, "B", against, HOW)

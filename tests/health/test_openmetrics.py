"""The exposition, against the rules of the format and, where it is there, against its parser."""

import contextlib
import importlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.health.fields import FIELDS
from edge.health.openmetrics import NAME, PREFIX, Family, families, render
from edge.wire.records import HEADER

BODY = {
    "uptime_s": 12.5,
    "reboot_cause": "power",
    "queue_rows": 3,
    "dropped": 7,
    "in_memory": False,
    "device_error_ratio": {"hut_air": 0.25, 'odd "name"\\\n': 0.0},
    "flash_written_mb_day": 86.4,
    "cpu_temperature": 48.3,
    "throttled": ["undervoltage"],
    "alarms": [],
}


def test_a_health_record_is_told_in_base_units() -> None:
    text = render(families(BODY, {"gateway": "gw-1"}))
    lines = text.splitlines()
    assert text.endswith("# EOF\n")
    assert 'kerbstone_gateway_info{gateway="gw-1"} 1' in lines
    assert "kerbstone_uptime_seconds 12.5" in lines
    assert "# UNIT kerbstone_uptime_seconds seconds" in lines
    assert "# TYPE kerbstone_dropped counter" in lines
    assert "kerbstone_dropped_total 7" in lines
    assert "kerbstone_in_memory 0" in lines
    assert "kerbstone_flash_written_bytes_per_second 1000" in lines
    assert "kerbstone_cpu_temperature_celsius 48.3" in lines
    assert 'kerbstone_reboot_cause_info{word="power"} 1' in lines
    assert 'kerbstone_throttled{word="undervoltage"} 1' in lines
    assert 'kerbstone_throttled{word="throttled"} 0' in lines
    assert 'kerbstone_alarms{word="hot"} 0' in lines
    assert 'kerbstone_device_error_ratio{device="odd \\"name\\"\\\\\\n"} 0' in lines


def test_what_nobody_knows_is_left_out() -> None:
    assert "temperature" not in render(families({"dropped": 3}, {"gateway": "gw-1"}))


def test_every_field_can_be_told() -> None:
    values = {"gauge": 1.5, "counter": 2, "word": "x", "words": [], "ratios": {"a": 0.5}}
    text = render(families({f.key: values[f.kind] for f in FIELDS}, {"gateway": "g"}))
    with contextlib.suppress(ImportError):  # an independent parser, where there is one
        parser = importlib.import_module("prometheus_client.openmetrics.parser")
        assert len(list(parser.text_string_to_metric_families(text))) == len(FIELDS) + 1
    for field in FIELDS:
        name = PREFIX + (field.metric or field.key)
        assert NAME.fullmatch(name)
        assert f"# TYPE {name} " in text
    assert len({field.key for field in FIELDS}) == len(FIELDS)


def test_no_field_is_in_the_way_of_a_records_header() -> None:
    assert HEADER.isdisjoint(field.key for field in FIELDS)


@pytest.mark.parametrize(
    "family",
    [
        Family("1 2", "gauge", "", [({}, 1.0)]),
        Family("age", "gauge", "", [({}, 1.0)], "seconds"),
        Family("age", "gauge", "", [({"a b": "x"}, 1.0)]),
        Family("age", "gauge", "", [({}, 1.0), ({}, 2.0)]),
    ],
)
def test_what_the_format_cannot_say_is_refused(family: Family) -> None:
    with pytest.raises(ValueError):
        render([family])


def test_a_name_is_told_once() -> None:
    with pytest.raises(ValueError):
        render([Family("a", "gauge", "", [({}, 1.0)])] * 2)


@given(st.floats(), st.text(max_size=40), st.text(max_size=40))
def test_any_number_and_any_text_stay_on_their_line(value: float, text: str, label: str) -> None:
    said = render([Family("a", "gauge", text, [({"l": label}, value)])])
    lines = said.encode("utf-8").decode("utf-8").split("\n")
    assert len(lines) == 5
    assert "\r" not in said
    number = float(lines[2].rpartition(" ")[2])
    assert number == value or (math.isnan(number) and math.isnan(value))


def test_a_carriage_return_does_not_end_a_line() -> None:
    said = render([Family("a", "gauge", "one\r\ntwo\rthree", [({"l": "x\ry"}, 1.0)])])
    assert "# HELP kerbstone_a one\\ntwo\\nthree\n" in said
    assert 'kerbstone_a{l="x\\ny"} 1' in said


def test_an_independent_parser_reads_the_same() -> None:
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    found = {}
    for family in parser.text_string_to_metric_families(
        render(families(BODY, {"gateway": "gw-1"}))
    ):
        for sample in family.samples:
            found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    assert found["kerbstone_dropped_total", ()] == 7
    assert found["kerbstone_device_error_ratio", (("device", 'odd "name"\\\n'),)] == 0
    assert found["kerbstone_uptime_seconds", ()] == 12.5

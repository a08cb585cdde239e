"""Tables of the field: columns under any of their names, and wrong rows spoil only themselves."""

import gzip
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import ConfigError
from edge.recordings.tablefile import Column, LoggedTime, TableRow, read_table, whole_number, word
from tests.long import examples

COLUMNS = (
    Column(("TimeStamp", "Time")),
    Column(("EventId", "EventCode")),
    Column(("DeviceId", "SignalId"), required=False),
)


def table(path: Path, text: str) -> list[TableRow]:
    path.write_text(text, encoding="utf-8")
    return list(read_table(path, COLUMNS))


@pytest.mark.parametrize(
    "header",
    ["TimeStamp,EventId,DeviceId", "time;event_code;Signal ID", "Timestamp\tEVENTCODE\tdevice_id",
     '"TimeStamp","EventId","DeviceId"', "\ufeffTimeStamp, EventId, DeviceId"],
)  # fmt: skip
def test_columns_are_known_by_any_of_their_names(tmp_path: Path, header: str) -> None:
    separator = next(each for each in ",;\t" if each in header)
    (row,) = table(tmp_path / "t.csv", f"{header}\n" + separator.join(("a", "b", "c")) + "\n")
    assert row == TableRow(2, ("a", "b", "c"))


def test_titles_before_the_names_are_passed_over(tmp_path: Path) -> None:
    rows = table(tmp_path / "t.csv", "Signal 7\n\nfrom,to\nTime,EventCode\na,b\n")
    assert rows == [TableRow(5, ("a", "b", None))]


def test_a_column_that_is_empty_is_not_one_that_is_missing(tmp_path: Path) -> None:
    rows = table(tmp_path / "t.csv", "Time,EventCode,DeviceId\na,b,\n")
    assert rows == [TableRow(2, ("a", "b", ""))]


def test_rows_that_are_wrong_are_told_and_the_others_count(tmp_path: Path) -> None:
    text = f"Time,EventCode\na,b\nalone\n{'x' * 9000}\n\nc,d\n"
    rows = table(tmp_path / "t.csv", text)
    assert [(row.number, bool(row.error)) for row in rows] == [
        (2, False), (3, True), (4, True), (6, False),
    ]  # fmt: skip


def test_a_file_through_gzip_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"Time,EventCode\na,b\n"))
    assert [row.cells for row in read_table(path, COLUMNS)] == [("a", "b", None)]


@pytest.mark.parametrize("text", ["", "what,ever\n1,2\n", "TimeStamp\na\n"])
def test_a_file_without_the_columns_says_what_is_needed(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"t\.csv.*TimeStamp or Time.*EventId or EventCode"):
        table(tmp_path / "t.csv", text)


def test_a_file_that_cannot_be_read_is_said_with_its_name(tmp_path: Path) -> None:
    damaged = tmp_path / "d.csv.gz"
    damaged.write_bytes(gzip.compress(b"Time,EventCode\na,b\n" * 1000)[:40])
    for path in (tmp_path / "none.csv", tmp_path, damaged):
        with pytest.raises(ConfigError, match="cannot be read"):
            list(read_table(path, COLUMNS))


def test_parquet_gives_what_a_csv_gives_and_times_as_numbers(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    naive = datetime(2026, 11, 30, 7, 0, 0, 100_000)  # noqa: DTZ001 (as logs have it)
    for kind, utc in ((pyarrow.timestamp("us"), False), (pyarrow.timestamp("ns", "UTC"), True)):
        data = {
            "Timestamp": pyarrow.array([naive, None], kind),
            "EventCode": pyarrow.array([82, None], pyarrow.int16()),
            "SignalID": pyarrow.array(["7", "7"]).dictionary_encode(),
            "more": ["x", "y"],
        }
        parquet.write_table(pyarrow.table(data), tmp_path / "t.parquet")
        rows = list(read_table(tmp_path / "t.parquet", COLUMNS))
        ms = round(naive.replace(tzinfo=UTC).timestamp() * 1000)
        assert rows == [TableRow(1, (LoggedTime(ms, utc), 82, "7")), TableRow(2, ("", "", "7"))]


def test_what_is_no_parquet_is_said_so(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 and more")
    with pytest.raises(ConfigError, match="no Parquet file"):
        list(read_table(path, COLUMNS))


def test_without_pyarrow_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'kerbstone\[parquet\]'"):
        list(read_table(tmp_path / "t.parquet", COLUMNS))


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
@settings(max_examples=examples(400))
def test_no_cell_is_too_strange_to_be_read(text: str) -> None:
    number = whole_number(text)
    assert number is None or word(text) == str(number)


@pytest.mark.parametrize(
    ("cell", "number"),
    [("12", 12), (" 12 ", 12), ("12.0", 12), (454.0, 454), (7, 7), ("1e400", None), (1.5, None),
     (float("nan"), None), (True, None), ("", None), (None, None), ("82,", None)],
)  # fmt: skip
def test_whole_numbers(cell: object, number: int | None) -> None:
    assert whole_number(cell) == number


@given(st.lists(st.text(alphabet='ab,;"\t \r\x00', max_size=12), max_size=12))
@settings(max_examples=examples(200))
def test_lines_of_any_kind_leave_the_good_ones_alone(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    good = "2026-11-30 07:00:00,82"
    path.write_text("\n".join(["Time,EventCode", good, *lines, good]), encoding="utf-8")
    cells = [row.cells for row in read_table(path, COLUMNS)]
    wanted = ("2026-11-30 07:00:00", "82", None)
    assert cells[0] == cells[-1] == wanted

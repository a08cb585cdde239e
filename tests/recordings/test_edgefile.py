"""The file of recorded edges: what its rows say, and how long it is."""

import io

import pytest

from edge.core.edge import Edge
from edge.recordings.edgefile import (
    BLOCK,
    LINE_LIMIT,
    EdgeRow,
    UnwatchedLine,
    read_edge_rows,
    read_through,
)

HEAD = "t_ms,line,level\n"


def rows_of(text: str) -> list[EdgeRow]:
    return list(read_edge_rows(io.StringIO(HEAD + text, newline="")))


def test_spaces_around_cells_and_empty_lines_mean_nothing() -> None:
    text = " 1000 , a , 1 \n\n  \r\n1000.5,b,=0\r\n2000, c,?"
    assert rows_of(text) == [
        EdgeRow(2, Edge("a", True, 1_000_000_000, 2)),
        EdgeRow(5, Edge("b", False, 1_000_500_000, 0)),
        EdgeRow(6, None, unwatched=UnwatchedLine("c", 2_000_000_000)),
    ]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("1000,a", "three cells are needed, the first a number: '1000,a\\n'"),
        (",,", "three cells are needed, the first a number: ',,\\n'"),
        ("1000,a,2", "level must be 0 or 1, =0, =1 or ?, not '2'"),
        (" 900 ,a,1", "t_ms 900 is earlier than in the line above: sort by t_ms"),
        (" -1 ,a,1", "t_ms -1 is not between 0 and a year"),
        (f"1000,{'a' * LINE_LIMIT},1", "three cells are needed"),
    ],
)
def test_a_wrong_row_says_what_is_wrong_and_spoils_no_other(row: str, says: str) -> None:
    before, wrong, after = rows_of(f"950,a,1\n{row}\n1001,a,0\n")
    assert wrong.error.startswith(says)
    assert (before.mono_ns, wrong.mono_ns, after.mono_ns) == (950_000_000, None, 1_001_000_000)


def test_reading_through_tells_the_last_row_of_each_block() -> None:
    text = HEAD + "".join(f"{t},a,{t % 2}\n" for t in range(0, 100_000, 7))
    moments = list(read_through(io.StringIO(text)))
    assert len(moments) == -(-len(text) // BLOCK)
    assert moments == sorted(moments)
    assert moments[-1] == max(range(0, 100_000, 7)) * 1_000_000


@pytest.mark.parametrize("last", ["", "x,a,1\n", "-5,a,1\n", "1e30,a,1\n"])
def test_what_is_no_moment_is_passed_over(last: str) -> None:
    assert list(read_through(io.StringIO(HEAD + last))) == []

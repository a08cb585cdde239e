"""What of a page is sent again: from the first column that differs to the last, row by row."""

import pytest

from edge.cli.livescreen import changes
from edge.report.live.livepage import Row


def row(text: str) -> Row:
    return ((text, ""),)


@pytest.mark.parametrize(
    ("before", "after", "sent"),
    [
        ([], [], []),
        ([row("a")], [row("a")], []),
        ([row("3 s ago")], [row("4 s ago")], [(0, 0, 1)]),
        ([row("up 9 s")], [row("up 10 s")], [(0, 3, 4)]),
        ([row("abcdef")], [row("abc")], [(0, 3, 3)]),
        ([row("a")], [], [(0, 0, 1)]),
        ([row("a"), row("b")], [row("a"), row("b"), row("c")], [(2, 0, 1)]),
        ([row("門 3 s")], [row("門 4 s")], [(0, 3, 1)]),
        ([row("e\u0301 3 s")], [row("e\u0301 4 s")], [(0, 2, 1)]),
        ([(("x", "bad"),)], [(("x", ""),)], [(0, 0, 1)]),
    ],
)
def test_only_what_differs(
    before: list[Row], after: list[Row], sent: list[tuple[int, int, int]]
) -> None:
    assert changes(before, after) == sent

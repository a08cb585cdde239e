"""Who gives way when there is more to do than this processor can: the buses that are asked.

All buses and the main loop share one processor, and a bus that is behind its schedule never rests
by itself: eight of them leave the main loop so little that edges wait, windows end late and nothing
is sent. So a bus whose next question is overdue rests first, as long as the main loop let its last
answer wait; a question that is not asked is `bad:stale` in the window, as one without an answer
is. A bus that keeps to its schedule rests anyway, and gives nothing up.
"""

from typing import Final

FREE_NS: Final = 20_000_000  # a main loop at work may take this long to look up
LONGEST_NS: Final = 1_000_000_000
PILED_NS: Final = 250_000_000  # between two questions of a bus, while windows wait to be closed


def rest_ns(waited_ns: int, piled_up: bool) -> int:
    """How long a bus that is late rests before its next question.

    `waited_ns`: how long what it brought had to wait for the main loop; `piled_up`: more than one
    window has ended and is not closed.
    """
    rest = min(max(0, waited_ns - FREE_NS), LONGEST_NS)
    return max(rest, PILED_NS) if piled_up else rest

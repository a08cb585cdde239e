"""Makes edges on a line at a steady rate, as a process of its own, and notes when.

    python3 -S pulses.py PULL COUNT RATE NOTES

It begins with a rising edge; the line has to be low. NOTES gets the monotonic nanoseconds before
and after each edge, 64 bits each.
"""

import os
import sys
import time
from array import array


def main(pull: str, count: int, rate: float, notes: str) -> None:
    """When it is late, it makes up for it: the count is kept, the rate is not."""
    line = os.open(pull, os.O_WRONLY)
    times = array("q")
    start = time.monotonic()
    for number in range(count):
        wait_s = start + number / rate - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        before = time.monotonic_ns()
        os.pwrite(line, b"pull-down" if number % 2 else b"pull-up", 0)
        times.append(before)
        times.append(time.monotonic_ns())
    with open(notes, "wb") as file:  # noqa: PTH123  pathlib takes a second to import here
        times.tofile(file)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4])

"""The least that takes edges from a simulated chip: it reads them, and counts.

python -m tests.bench.edges SOCKET LINES
"""

import json
import selectors
import signal
import sys

import gpiod
from gpiod.line import Direction, Edge

from drivers.buses.gpio.remote_chip import RemoteChip

BUFFER = 1024


def main() -> None:
    """Until SIGTERM; then it prints how many there were."""
    chip = RemoteChip.at(sys.argv[1])
    settings = gpiod.LineSettings(direction=Direction.INPUT, edge_detection=Edge.BOTH)
    count = 0
    stop = False

    def end(*_: object) -> None:
        nonlocal stop
        stop = True

    signal.signal(signal.SIGTERM, end)
    with selectors.DefaultSelector() as selector:
        for number in range(int(sys.argv[2])):
            request = chip.request_lines({number: settings}, "bench", BUFFER)
            selector.register(request.fd, selectors.EVENT_READ, request)
        while not stop:
            for key, _ in selector.select(0.2):
                if key.data.wait_edge_events(0):
                    count += len(key.data.read_edge_events())
    print(json.dumps({"edges": count}), flush=True)


if __name__ == "__main__":
    main()

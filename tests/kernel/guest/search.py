"""`kerbstone scan` on the guest's I2C bus and UART; prints what it printed.

python3 -m tests.kernel.guest.search
"""

import json
import subprocess
import sys

from tests.kernel.guest.air import BUS
from tests.kernel.guest.answers import AnsweringProcess, adapter

SCAN = (sys.executable, "-m", "edge.cli.main", "scan", "--json")
NARROW = ("--baud", "9600", "--parity", "E", "--units", "1-3", "--timeout", "1", "--listen", "1")


def main() -> None:
    """Two chips on the bus, one meter on the line."""
    with AnsweringProcess("sen55", "sht4x"):
        command = [*SCAN, *NARROW, adapter(BUS), "/dev/ttyS1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stderr)
    print(json.dumps({"exit": done.returncode, **json.loads(done.stdout)}))


if __name__ == "__main__":
    main()

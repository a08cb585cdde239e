"""Two pseudo-terminals joined like a null-modem cable, for peers that want a port of their own."""

import os
import select
import threading
import tty
from contextlib import suppress


class PtyPair:
    """`a` and `b` are the ports; bytes pass at once."""

    def __init__(self) -> None:
        (master_a, slave_a), (master_b, slave_b) = os.openpty(), os.openpty()
        for slave in (slave_a, slave_b):
            tty.setraw(slave)
        self.a, self.b = os.ttyname(slave_a), os.ttyname(slave_b)
        self._other = {master_a: master_b, master_b: master_a}
        self._fds = (master_a, slave_a, master_b, slave_b)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def _pump(self) -> None:
        while not self._end.is_set():
            for fd in select.select(list(self._other), [], [], 0.05)[0]:
                with suppress(OSError):
                    os.write(self._other[fd], os.read(fd, 1024))

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        for fd in self._fds:
            os.close(fd)

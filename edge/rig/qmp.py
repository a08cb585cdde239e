"""QEMU's control socket: one command, one answer. Here it plugs and unplugs devices."""

import json
import socket
import time
from pathlib import Path
from typing import Any


class QmpError(Exception):
    """QEMU refused a command."""


class Qmp:
    """Connected when built. Raises TimeoutError when there is nobody."""

    def __init__(self, path: Path, timeout_s: float = 20.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout_s)
        end = time.monotonic() + timeout_s
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError:
                if time.monotonic() > end:
                    raise TimeoutError(f"QEMU does not listen at {path}") from None
                time.sleep(0.02)
        self._file = self._socket.makefile("rw", encoding="utf-8")
        self._read()  # its greeting
        self("qmp_capabilities")

    def __call__(self, command: str, **arguments: Any) -> Any:
        """What the command returned. Raises QmpError when QEMU refuses."""
        self._file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._file.flush()
        while True:
            answer = self._read()
            if "error" in answer:
                raise QmpError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:  # not an event
                return answer["return"]

    def wait(self, event: str) -> dict[str, Any]:
        """The next event of this name. Raises TimeoutError."""
        while True:
            found = self._read()
            if found.get("event") == event:
                data: dict[str, Any] = found.get("data", {})
                return data

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _read(self) -> dict[str, Any]:
        line = self._file.readline()
        if not line:
            raise ConnectionError("QEMU has ended")
        message: dict[str, Any] = json.loads(line)
        return message

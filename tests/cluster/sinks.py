"""Sinks between the cluster and a database, as processes, and what waits for them."""

import json
import signal
import subprocess
from pathlib import Path

from tests.cluster.rabbit import Rabbit
from tests.kit.platform import COMMAND, ROOT

FILES = ("ca.crt", "platform-sink.crt", "platform-sink.key")


class ClusterSinks:
    """Started again after each kill."""

    def __init__(self, rabbit: Rabbit, database: str, folder: Path) -> None:
        self._rabbit, self._database, self._folder = rabbit, database, folder
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, number: int) -> None:
        """Each prefers another node."""
        nodes = self._rabbit.nodes
        words: list[object] = ["--json", "--database", self._database]
        for option, name in zip(("--ca", "--cert", "--key"), FILES, strict=True):
            words += [option, self._rabbit.folder / name]
        for step in range(len(nodes)):
            port = nodes[(number + step) % len(nodes)].amqp_port
            words += ["--broker", f"amqps://127.0.0.1:{port}"]
        with (self._folder / f"sink{number}.log").open("ab") as log:
            self._processes[number] = subprocess.Popen(
                [*COMMAND, "sink", *map(str, words)], stdout=log, stderr=log, cwd=ROOT
            )

    def kill(self, number: int) -> None:
        self._processes[number].kill()
        self._processes[number].wait(60)

    def stop(self, number: int) -> dict[str, int]:
        """What it has counted since its start."""
        self._processes[number].send_signal(signal.SIGTERM)
        self._processes[number].wait(60)
        last = (self._folder / f"sink{number}.log").read_text().splitlines()[-1]
        counts: dict[str, int] = json.loads(last)
        return counts

    def close(self) -> None:
        for number in self._processes:
            self.kill(number)

    @property
    def said(self) -> str:
        return "\n".join(file.read_text() for file in sorted(self._folder.glob("sink*.log")))


def messages(rabbit: Rabbit, queue: str) -> int:
    rows = rabbit.nodes[0].ctl("list_queues", "name", "messages", "--no-table-headers")
    return int(dict(row.split("\t") for row in rows.splitlines())[queue])

"""The gateways of a city: a fleet at each node, and what each of them says at its end."""

import json
import math
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.cluster.rabbit import Rabbit
from tests.kit.platform import COMMAND, ROOT

CERTIFICATES = ("ca.crt", "gateways/{gw}.crt", "gateways/{gw}.key")
SUMS = ("records", "sent", "pubacks", "receipted", "receipts", "unconfirmed", "no_subscribers",
        "connections")  # fmt: skip


class CityFleets:
    """Started when they are made. A fleet has one broker, as long as it lives."""

    def __init__(self, rabbit: Rabbit, folder: Path, *options: object) -> None:
        self.ledgers: list[Path] = []
        self._processes: list[subprocess.Popen[str]] = []
        share = math.ceil(len(rabbit.names) / len(rabbit.nodes))
        for number, node in enumerate(rabbit.nodes):
            names = rabbit.names[number * share : (number + 1) * share]
            self.ledgers.append(folder / f"fleet{number}.jsonl")
            words: list[object] = ["--broker", f"mqtts://127.0.0.1:{node.port}", "--json"]
            for option, name in zip(("--ca", "--cert", "--key"), CERTIFICATES, strict=True):
                words += [option, rabbit.folder / name]
            words += ["--gateways", len(names), "--first", names[0], "--no-last"]
            words += ["--ledger", self.ledgers[-1], *options]
            self._processes.append(
                subprocess.Popen(
                    [*COMMAND, "fleet", *map(str, words)], cwd=ROOT, text=True,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                )
            )  # fmt: skip

    @property
    def busy(self) -> bool:
        return all(each.poll() is None for each in self._processes)

    def finish(self, seconds: float) -> dict[str, Any]:
        """What all of them together have done, when all is confirmed."""
        said = [each.communicate(timeout=seconds) for each in self._processes]
        for out, err in said:
            assert out, err
        found = [json.loads(out) for out, _ in said]
        sums: dict[str, Any] = {name: sum(each[name] for each in found) for name in SUMS}
        for name in ("sent_again", "refused", "connections_lost"):
            sums[name] = _together([each[name] for each in found])
        sums["seconds"] = max(each["seconds"] for each in found)
        for name in ("puback_s", "receipt_s"):
            for rank in ("median", "p99"):
                sums[f"{name} {rank}"] = max(each[name][rank] or 0 for each in found)
        return sums

    def close(self) -> None:
        for each in self._processes:
            if each.poll() is None:
                each.kill()
                each.communicate()


def _together(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    names = sorted({name for each in counts for name in each})
    return {name: sum(each.get(name, 0) for each in counts) for name in names}

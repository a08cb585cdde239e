"""A box whose configuration is changed while vehicles pass: its daemon, street, air and records."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar, Self

from drivers.sim.i2c import I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.sht4x import Sht4x
from edge.gateway.lastgood import GOOD_NAME
from tests.kit.broker import Mosquitto
from tests.kit.gateway import KERBSTONE, LOOPS, ROOT, GatewayProcess, Records
from tests.kit.street import LoopStreet

AIR = """
[bus.hut]
kind = "i2c"
path = "sim:{dir}/hut.sock"
[device.hut_air]
driver = "sht4x"
bus = "hut"
address = 0x44
every_s = 0.5
[bus.yard]
kind = "i2c"
path = "sim:{dir}/yard.sock"
[device.yard_air]
driver = "sht4x"
bus = "yard"
address = 0x44
every_s = 0.5
"""


class TriedBox(GatewayProcess):
    """`state` is where the daemon keeps what it knows; systemd is nobody."""

    command: ClassVar[tuple[str, ...]] = (sys.executable, "-m", "tests.system.hurriedtrial")

    def __init__(self, folder: Path, broker: Mosquitto, *parts: str, **words: Any) -> None:
        super().__init__(folder, broker, *(parts or (LOOPS, AIR)), **words)
        self.state = folder / "state"

    @property
    def process(self) -> Any:
        assert self._daemon is not None
        return self._daemon

    @property
    def text(self) -> str:
        return self.config.read_text()

    def config_step(self, step: str, *words: str, code: int | None = 0) -> dict[str, Any]:
        """`kerbstone config STEP ... --json`."""
        command = [*KERBSTONE, "config", step, "--config", str(self.config), "--json", *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90)
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return dict(json.loads(done.stdout)) if done.stdout.strip() else {}

    def apply(self, text: str, *words: str, code: int | None = 0) -> dict[str, Any]:
        new = self.folder / "new.toml"
        new.write_text(text)
        return self.config_step("apply", str(new), *words, code=code)

    def status(self) -> dict[str, Any]:
        return self.config_step("status", code=None)

    def until(self, true: Callable[[], Any], timeout_s: float = 60.0) -> None:
        end = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < end, self.log.read_text()[-4000:]
            time.sleep(0.1)

    def until_state(self, state: str, timeout_s: float = 60.0) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def there() -> bool:
            found.update(self.status())
            return found.get("state") == state

        self.until(there, timeout_s)
        return found


class ChangingBox:
    """All of it, running, with a good configuration."""

    def __init__(
        self, folder: Path, broker: Mosquitto, kind: type[TriedBox] = TriedBox, **words: Any
    ) -> None:
        self.folder, self.broker = folder, broker
        self._stack = ExitStack()
        self.gateway = kind(folder, broker, **words)

    def __enter__(self) -> Self:
        self.street = self._stack.enter_context(LoopStreet(self.folder))
        for name in ("hut", "yard"):
            kernel = I2cKernel({0x44: Sht4x({"temperature": 21.0, "humidity": 50.0})})
            self._stack.enter_context(I2cServer(kernel, self.folder / f"{name}.sock"))
        self._stack.callback(self.gateway.close)
        self.records = Records(self.broker, self.folder)
        self.gateway.start()
        self.street.drive(every_s=2.2)
        self.gateway.until((self.gateway.state / GOOD_NAME).exists)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self.records.stop()

    def finish(self) -> None:
        """No vehicle passes any more; the daemon ends in order, and all has arrived."""
        self.street.end()
        time.sleep(1)
        assert self.gateway.stop() == 0
        time.sleep(1)
        self.records.all()

    @property
    def counted(self) -> int:
        return sum(each["volume"] or 0 for each in self.records.of("traffic"))

    def gaps(self) -> list[dict[str, Any]]:
        """Gap events after that of the first start."""
        found = [each for each in self.records.of("event") if each["event"] == "gap"]
        return [each for each in found if each["reason"] != "start" or each["sources"] != ["*"]]

    def changes(self) -> list[tuple[Any, Any]]:
        """What the city has heard of the configuration: outcome and reason."""
        found = [each for each in self.records.of("event") if each["event"] == "configuration"]
        return [(each.get("outcome"), each.get("reason")) for each in found]

    def twice(self) -> list[Any]:
        """Records that came more than once, or numbers that are missing."""
        wrong: list[Any] = []
        for (epoch, stream), numbers in self._numbers():
            if max(Counter(numbers).values()) > 1:
                wrong.append((epoch, stream, "twice"))
            if sorted(set(numbers)) != [*range(1, len(set(numbers)) + 1)]:
                wrong.append((epoch, stream, "missing", numbers))
        return wrong

    def _numbers(self) -> Iterator[tuple[tuple[Any, Any], list[int]]]:
        found: dict[tuple[Any, Any], list[int]] = {}
        for each in self.records.all():
            if each["kind"] == "record":
                found.setdefault((each["epoch"], each["stream"]), []).append(each["seq"])
        yield from found.items()

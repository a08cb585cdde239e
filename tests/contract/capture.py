"""Capture examples of every message from running code, for docs/contract/examples.

    python -m tests.contract.capture

It plays the scenes and runs a daemon against a mosquitto, then keeps a few messages of each kind:
those that say most, and one of each kind of event. `make docs` puts them into the schemas. It ends
with 1 if no scene sends a message that is declared.
"""

import base64
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from docs.promise import EXAMPLES, ROOT, dumped
from edge.platform.subscription import ArrivedMessage
from edge.wire import JSON, decode
from edge.wire.contract.catalogue import BY_NAME
from tests.contract import scenes
from tests.contract.boxes import box
from tests.contract.captured import HOW
from tests.contract.conform import conforms, conforms_down, named
from tests.contract.daemon import live
from tests.contract.street import street
from tests.kit.broker import Mosquitto
from tests.kit.fixtures import PERSISTENT
from tests.kit.gateway import GatewayProcess

KEPT: Final = 2
MORE: Final = {"lane": 4, "bay": 3}
ROADSIDE: Final = ("loops", "signal", "occupied")  # an example with each
# of the machine on which it is captured, and of no interest to a reader
MACHINE: Final = ("disk_", "memory_", "swap_", "load_", "rss_", "cpu_", "oom_", "filesystem_")
BOARD: Final = {  # what a box with a card of ours is made of, in place of that machine
    "software": "0.3.0", "python": "3.13.5", "system": "Debian GNU/Linux 13 (trixie)",
    "kernel": "6.12.48+deb13-arm64", "machine": "aarch64",
    "board": "Raspberry Pi Zero 2 W Rev 1.0", "serial": "00000000deadbeef", "processors": 4,
    "memory_bytes": 437_723_136,
}  # fmt: skip
Example = dict[str, Any]
Found = dict[str, dict[str, Example]]


def main() -> None:
    found: Found = {}
    for name, form, example in everything():
        forms = found.setdefault(name, {})
        if weight(example) > weight(forms.get(form, {})):
            forms[form] = example
    EXAMPLES.mkdir(parents=True, exist_ok=True)
    for name, forms in found.items():
        most = len(forms) if name == "event" else MORE.get(name, KEPT)
        best = sorted(forms.values(), key=weight, reverse=True)[:most]
        best.sort(key=place)
        (EXAMPLES / f"{name}.json").write_text(dumped(best), encoding="utf-8")
        print(f"{name}: {len(best)}")
    if missing := sorted(BY_NAME.keys() - found.keys()):
        sys.exit(f"without an example: {' '.join(missing)}: {HOW}")


def everything() -> Iterator[tuple[str, str, Example]]:
    """Name, form and message of all that the scenes and a daemon say."""
    hour = street()
    others = scenes.others()
    yield from records(scenes.sent(hour, "json"))
    yield from records(scenes.sent(hour, "msgpack"))
    yield from records(scenes.again(scenes.downsampled([*hour, *others]), "json"))
    yield from records(scenes.sent(others, "json"))
    with tempfile.TemporaryDirectory() as folder:
        yield from records(scenes.arrived(each, "json") for each in scenes.lives(Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        yield from records(scenes.sent(box(Path(folder)), "json"))
    with tempfile.TemporaryDirectory() as folder:
        yield from records(scenes.sent(scenes.seals([*hour, *others], Path(folder)), "json"))
    for topic, payload in scenes.commands():
        name = conforms_down(topic, payload).name
        yield name, "", shown(topic, JSON, json.loads(payload))
    with tempfile.TemporaryDirectory() as folder:
        yield from records(watched(Path(folder)))


def watched(folder: Path) -> list[ArrivedMessage]:
    broker = Mosquitto(folder / "broker", PERSISTENT.format(folder / "broker")).start()
    sites: list[GatewayProcess] = []

    def make(*parts: str, **words: Any) -> GatewayProcess:
        sites.append(GatewayProcess(folder, broker, *parts, **words))
        return sites[-1]

    try:
        heard = live(folder, broker, make, "msgpack")
    finally:
        for site in sites:
            site.close()
        broker.kill()
    return [each for each in heard if "/up/" in each.topic and "/last/" not in each.topic]


def records(arrived: Iterable[ArrivedMessage]) -> Iterator[tuple[str, str, Example]]:
    for each in arrived:
        for message in decode(each.topic, each.payload, each.content_type):
            conforms(message)
            data = message.sent
            form = str(data.get("event", data.get("state", data.get("verb", ""))))
            if "covers" in data or "former" in data:
                form = "rare"
            elif "lane" in data or "bay" in data:
                form = next((word for word in ROADSIDE if data.get(word)), "")
            yield named(message).name, form, shown(each.topic, each.content_type, data)


def shown(topic: str, content_type: str | None, data: Mapping[str, Any]) -> Example:
    """As JSON can hold it: bytes as Base64."""
    payload: dict[str, Any] = {
        key: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for key, value in data.items()
    }
    if "health" in payload.get("box", ()):
        reported = {k: v for k, v in payload["box"]["health"].items() if not k.startswith(MACHINE)}
        payload["box"] = {**payload["box"], "model": None, "serial": None, "health": reported}
    elif "box" in payload:
        payload["box"] = {k: v for k, v in BOARD.items() if k in payload["box"]}
    if "models" in payload:  # why one does not answer may name a file of this checkout
        payload["models"] = json.loads(json.dumps(payload["models"]).replace(f"{ROOT}/", ""))
    return {"topic": topic, "content_type": content_type, "payload": payload}


def place(example: Example) -> tuple[str, bool]:
    """Events by their kind; what is usual first."""
    said = example["payload"]
    return str(said.get("event", "")), not said.keys().isdisjoint({"covers", "former", "why"})


def weight(example: Mapping[str, Any]) -> int:
    """How much it says; null and empty say nothing."""
    return _said(example.get("payload"))


def _said(value: Any) -> int:
    if isinstance(value, dict):
        return sum(1 + _said(each) for each in value.values() if each not in (None, {}, []))
    return sum(map(_said, value)) if isinstance(value, list) else 1 if value else 0


if __name__ == "__main__":
    main()

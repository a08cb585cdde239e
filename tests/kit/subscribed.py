"""Looking through what `kerbstone subscribe` has given: `Records.all()` of `gateway`.

An example:

    assert states(records.all(), "hut_air") == ["on", "off"]
"""

from collections.abc import Sequence
from typing import Any

ALL = ("--check", "--filter", "kerbstone/v1/test/gw-1/up/#")


def once(found: Sequence[dict[str, Any]], stream: str, source: str = "") -> list[dict[str, Any]]:
    """Each record once, in the order of its time."""
    mine = [
        r for r in found
        if r["kind"] == "record" and r["stream"] == stream and source in ("", r["source"])
    ]  # fmt: skip
    return sorted(
        {(r["epoch"], r["seq"]): r for r in mine}.values(), key=lambda r: (r["boot"], r["mono"])
    )


def events(found: Sequence[dict[str, Any]], kind: str, source: str = "") -> list[dict[str, Any]]:
    return [r for r in once(found, "event", source) if r["event"] == kind]


def states(found: Sequence[dict[str, Any]], source: str) -> list[str]:
    """Of its faults: on, off, on, ..."""
    return [str(event["state"]) for event in events(found, "sensor_fault", source)]


def end_us(record: dict[str, Any]) -> int:
    return int(record["mono"][1])

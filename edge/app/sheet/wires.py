"""Buses, their devices and lanes, and the models, a line each."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edge.app.sheet.words import Section, counted, mapping, percent
from edge.app.verdict import MILD

FINE: Final = 12  # devices of one bus that are named though nothing is wrong with them
RATE: Final = 0.001  # part of the reads that may fail without a word
STATES: Final = {
    "silent": "SILENT",
    "crc": "DAMAGED ON THE WIRE",
    "warmup": "warming up",
    "busy": "busy",
    "stale": "nothing new",
}


def buses(status: Mapping[str, Any]) -> Section:
    """What hangs on each bus. A device that fails comes with its sentence."""
    places, lanes = mapping(status.get("buses")), mapping(status.get("lanes"))
    devices = mapping(status.get("devices"))
    ratios = mapping(mapping(mapping(status.get("box")).get("health")).get("device_error_ratio"))
    out: list[str] = []
    for bus, place in places.items():
        out.append(f"{bus} at {place}")
        own = {n: mapping(d) for n, d in devices.items() if mapping(d).get("bus") == bus}
        out += _devices(own, ratios)
        named = [name for name, lane in lanes.items() if mapping(lane).get("bus") == bus]
        if named:
            out.append(f"  {'lane' if len(named) == 1 else 'lanes'} {', '.join(named)}")
    stray = {n: mapping(d) for n, d in devices.items() if mapping(d).get("bus") not in places}
    out += _devices(stray, ratios)
    return Section("buses", tuple(out))


def _devices(devices: Mapping[str, Any], ratios: Mapping[str, Any]) -> Iterator[str]:
    quiet = [name for name, told in devices.items() if _well(told, ratios.get(name))]
    for name, told in devices.items():
        if len(quiet) <= FINE or name not in quiet:
            yield from _device(name, told, ratios.get(name))
    if len(quiet) > FINE:
        yield f"  {len(quiet)} more devices are fine"


def _well(told: Mapping[str, Any], ratio: float | None) -> bool:
    return told.get("state") == "ok" and not told.get("health") and (ratio or 0) < RATE


def _device(name: str, told: Mapping[str, Any], ratio: float | None) -> Iterator[str]:
    state = str(told.get("state"))
    said = "ok" if state == "ok" else STATES.get(state, state.upper())
    reads, errors = told.get("reads"), told.get("errors")
    if ratio is not None:
        rate = (
            f"{percent(ratio)} of the reads of the last hour failed" if ratio else "no read failed"
        )
        rate += "" if ratio else " in the last hour"
    else:
        rate = f"{counted(reads, 'read')}, {counted(errors, 'error')} since the start"
    yield f"  {name}: {said}; {rate}"
    if state != "ok" and (text := told.get("text")):
        yield f"    {text}"
    for word, text in mapping(told.get("health")).items():
        yield f"    {'' if word in MILD else 'it reports: '}{text}"


def models(status: Mapping[str, Any]) -> Section:
    """Which model answers, and where its rule stands in for it."""
    lines = []
    for name, told in mapping(status.get("models")).items():
        if not isinstance(told, Mapping):
            lines.append(f"{name}: off")
        elif told.get("answers") == "model":
            took = "" if told.get("ms") is None else f", {told['ms']:.1f} ms for the last answer"
            lines.append(f"{told.get('model') or name} answers{took}")
        else:
            why = told.get("why") or "the model is not loaded yet"
            lines.append(f"{name}: its rule answers instead: {why}")
    return Section("models", tuple(lines))

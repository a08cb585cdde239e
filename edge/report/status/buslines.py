"""Buses, their devices, lanes, bays and signals, and the models, a line each."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edge.core.displayname import with_name
from edge.core.humanize import count_text, percent_text
from edge.core.remedies import MILD_CONDITIONS
from edge.report.status.bundles import live_model_lines
from edge.report.status.textform import Section, as_mapping

FINE_SHOWN: Final = 12  # devices of one bus that are named though nothing is wrong with them
RATE_SHOWN: Final = 0.001  # part of the reads that may fail without a word
STATES: Final = {
    "silent": "SILENT",
    "crc": "DAMAGED ON THE WIRE",
    "warmup": "warming up",
    "busy": "busy",
    "stale": "nothing new",
}


def bus_lines(status: Mapping[str, Any]) -> Section:
    """What hangs on each bus. A device that fails comes with its sentence."""
    places = as_mapping(status.get("buses"))
    devices, names = as_mapping(status.get("devices")), as_mapping(status.get("names"))
    ratios = as_mapping(
        as_mapping(as_mapping(status.get("box")).get("health")).get("device_error_ratio")
    )
    out: list[str] = []
    for bus, place in places.items():
        out.append(f"{bus} at {place}")
        own = {n: as_mapping(d) for n, d in devices.items() if as_mapping(d).get("bus") == bus}
        out += _devices(own, ratios, names)
        out += _lined(status, bus)
    stray = {n: as_mapping(d) for n, d in devices.items() if as_mapping(d).get("bus") not in places}
    out += _devices(stray, ratios, names)
    return Section("buses", tuple(out))


def _lined(status: Mapping[str, Any], bus: str) -> Iterator[str]:
    """Lanes, bays and signals of a bus: their edges come unasked, nobody polls them."""
    names = as_mapping(status.get("names"))
    own = {
        key: {n: as_mapping(d) for n, d in as_mapping(status.get(key)).items()
              if as_mapping(d).get("bus") == bus}
        for key in ("lanes", "bays", "signals")
    }  # fmt: skip
    if lanes := [with_name(name, names) for name in own["lanes"]]:
        yield f"  {'lane' if len(lanes) == 1 else 'lanes'} {', '.join(lanes)}"
    if bays := [f"{with_name(n, names)} ({s.get('kind')})" for n, s in own["bays"].items()]:
        yield f"  {'bay' if len(bays) == 1 else 'bays'} {', '.join(bays)}"
    signals: dict[str, list[str]] = {}
    for name, bay_status in own["signals"].items():
        signals.setdefault(str(bay_status.get("approach")), []).append(name)
    for approach, contacts in signals.items():
        shown = ", ".join(with_name(contact, names) for contact in contacts)
        yield f"  signal of {with_name(approach, names)}: {shown}"


def _devices(
    devices: Mapping[str, Any], ratios: Mapping[str, Any], names: Mapping[str, Any]
) -> Iterator[str]:
    quiet = [name for name, state in devices.items() if _is_well(state, ratios.get(name))]
    for name, status in devices.items():
        if len(quiet) <= FINE_SHOWN or name not in quiet:
            yield from _device(with_name(name, names), status, ratios.get(name))
    if len(quiet) > FINE_SHOWN:
        yield f"  {len(quiet)} more devices are fine"


def _is_well(status: Mapping[str, Any], ratio: float | None) -> bool:
    return status.get("state") == "ok" and not status.get("health") and (ratio or 0) < RATE_SHOWN


def _device(name: str, status: Mapping[str, Any], ratio: float | None) -> Iterator[str]:
    state = str(status.get("state"))
    state_text = "ok" if state == "ok" else STATES.get(state, state.upper())
    reads, errors = status.get("reads"), status.get("errors")
    if ratio is not None:
        rate = (
            f"{percent_text(ratio)} of the reads of the last hour failed"
            if ratio
            else "no read failed"
        )
        rate += "" if ratio else " in the last hour"
    else:
        rate = f"{count_text(reads, 'read')}, {count_text(errors, 'error')} since the start"
    yield f"  {name}: {state_text}; {rate}"
    if state != "ok" and (text := status.get("text")):
        yield f"    {text}"
    for word, text in as_mapping(status.get("health")).items():
        yield f"    {'' if word in MILD_CONDITIONS else 'it reports: '}{text}"


def model_lines(status: Mapping[str, Any]) -> Section:
    """Which model answers, and where its rule stands in for it."""
    lines = []
    for name, model_status in as_mapping(status.get("models")).items():
        if not isinstance(model_status, Mapping):
            lines.append(f"{name}: off")
        elif model_status.get("answers") == "model":
            took = (
                ""
                if model_status.get("ms") is None
                else f", {model_status['ms']:.1f} ms for the last answer"
            )
            lines.append(f"{model_status.get('model') or name} answers{took}")
        else:
            why = model_status.get("why") or "the model is not loaded yet"
            lines.append(f"{name}: its rule is used instead: {why}")
        if isinstance(model_status, Mapping):
            lines += [f"  {text}" for text in list(live_model_lines(model_status))[1:]]
    return Section("models", tuple(lines))

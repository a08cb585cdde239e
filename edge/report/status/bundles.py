"""A bundle, what the daemon says of it, and how two of them differ, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edge.core.humanize import count_text, percent_text
from edge.infer.bundlecheck import BATCH, BundleReport
from edge.report.status.textform import as_mapping

NAMES: Final = 4  # of what it was trained on, in full


def bundle_lines(report: BundleReport) -> Iterator[str]:
    """The head, then what goes in and out, where it comes from, what it costs here, its faults."""
    known = report.manifest
    if known is None:
        yield f"{report.folder.name}: no model"
    else:
        size = "no graph" if report.bytes is None else f"{report.bytes / 1000:.1f} kB"
        yield f"{known.name} {known.version}  sha256 {known.sha256[:12]}  {size}"
        yield f"  from {report.folder}"
        yield f"  inputs: {_widths(known.fed)}; a state of {len(known.start)}"
        yield f"  outputs: {_widths({o.name: o.width for o in known.outputs})}"
        yield f"  trained on {training_text(known.training)}"
        if report.golden:
            yield f"  {count_text(report.golden, 'golden case')} reproduced; {_cost(report)}"
    for fault in report.faults:
        yield f"  {'note' if fault.mild else 'WRONG'}: {fault.text}: {fault.do or 'leave it out'}"


def _cost(report: BundleReport) -> str:
    parts = []
    if report.ms is not None and report.batch_ms is not None:
        parts.append(f"{report.ms:.2f} ms for a row, {report.batch_ms:.2f} ms for {BATCH}")
    if report.grew_mb is not None:
        parts.append(f"{report.grew_mb:.1f} MB")
    return ", ".join(parts)


def _widths(columns: Mapping[str, int]) -> str:
    return ", ".join(name if width == 1 else f"{name} {width}" for name, width in columns.items())


def training_text(training: Mapping[str, Any]) -> str:
    """In a few words, the data first; the card says more."""
    data, rest = [], []
    for key, value in training.items():
        if isinstance(value, list):
            names = ", ".join(str(one) for one in value[:NAMES])
            more = f" and {len(value) - NAMES} more" if len(value) > NAMES else ""
            data.append(f"{key} {names}{more}")
        elif value is not None and not isinstance(value, Mapping):
            rest.append(f"{key} {value}")
    return "; ".join([*data, *rest]) or "what its manifest does not say"


def live_model_lines(status: Any) -> Iterator[str]:
    """What the daemon says of one model: who answers, drift, and the candidate beside it."""
    if not isinstance(status, Mapping):
        yield "off in the configuration"
        return
    if status.get("answers") == "model":
        took = "" if status.get("ms") is None else f", {status['ms']:.1f} ms for the last answer"
        yield f"{status.get('model')} answers{took}"
    else:
        yield f"its rule answers: {status.get('why') or 'the model is not loaded yet'}"
    if status.get("instead"):
        yield f"the previous version is used; {status['instead']}"
    drift = as_mapping(status.get("drift"))
    if drift.get("text"):
        yield f"drift: {drift['text']}" + _psi(drift)
    elif drift.get("psi") is not None:
        yield "inputs and answers are as in training" + _psi(drift)
    if shadow := as_mapping(status.get("shadow")):
        yield from candidate_lines(shadow)


def _psi(drift: Mapping[str, Any]) -> str:
    psi = drift.get("psi")
    return "" if psi is None else f" (PSI {psi:.2f}, {drift.get('column')})"


def candidate_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report of a shadow."""
    if report.get("dropped"):
        yield f"candidate dropped: {report['dropped']}"
        return
    took = "" if report.get("ms") is None else f", {report['ms']:.2f} ms a run"
    yield f"candidate {report.get('model')} runs beside it{took}: {agreement_lines(report)}"
    for one in report.get("last") or ():
        yield (
            f"  {one['before_s']:g} s before the last window {one['row']}: live {one['live']} "
            f"({one['live_score']:g}), candidate {one['candidate']} ({one['candidate_score']:g})"
        )


def agreement_lines(report: Mapping[str, Any], one: str = "live", two: str = "candidate") -> str:
    """How two rows of flags compare, by the counts of `ModelComparison`."""
    n = report.get("samples") or 0
    if not n:
        return "nothing is compared yet"
    return (
        f"flags agree in {percent_text(report['agree'] / n)} of {count_text(n, 'sample')}; "
        f"{one} raised its flag {count_text(report['on_live'], 'time')}, "
        f"{two} {count_text(report['on_candidate'], 'time')}; "
        f"mean difference {report['difference']:g}"
    )

"""Proves a bundle for people: what it is, what it costs here, and everything that is wrong with it.

The memory is what loading it added to this process; the first model also brings what every later
one shares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edge.infer.bundlemanifest import COPY_HINT, BundleManifest, ModelError, read_manifest
from edge.infer.modelsession import ModelSession

if TYPE_CHECKING:
    from collections.abc import Mapping

OPSET: Final = 17  # runtimes on devices refuse newer ones
IR: Final = 8
RUNS: Final = 30
BATCH: Final = 64
EXPORT_HINT: Final = f"export it again with opset {OPSET} and IR {IR}"
WRITE_HINT: Final = "write CARD.md beside the manifest: the training data, the scores, the limits"


@dataclass(frozen=True, slots=True)
class BundleFault:
    """What is wrong, and what to do. One that is `mild` does not keep the model from running."""

    text: str
    do: str
    mild: bool = False


@dataclass(slots=True)
class BundleReport:
    """One bundle. What could not be found out is None."""

    folder: Path
    manifest: BundleManifest | None = None
    bytes: int | None = None  # of the graph
    golden: int = 0  # cases that it reproduced; 0 where it failed
    ms: float | None = None  # a run of one row, median
    batch_ms: float | None = None  # of 64 rows
    grew_mb: float | None = None
    faults: list[BundleFault] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        return all(fault.mild for fault in self.faults)


def bundles_in(folder: Path) -> list[Path]:
    """The bundle that this folder is, or the bundles that lie in it, by name."""
    if (folder / "manifest.json").is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob("*/manifest.json"))


def check_bundle(folder: Path) -> BundleReport:
    """Load it as the daemon does, and measure it. Raises nothing for what is wrong with it."""
    report = BundleReport(folder)
    try:
        report.manifest = read_manifest(folder)
    except ModelError as error:
        report.faults.append(BundleFault(str(error), error.do))
        return report
    report.faults += _graph(report, folder / report.manifest.file)
    report.faults += _complete(report.manifest, folder)
    try:
        session = ModelSession(folder)
    except ModelError as error:
        report.faults.append(BundleFault(str(error), error.do))
        return report
    report.golden, report.grew_mb = session.golden, session.grew_mb
    try:
        report.ms, report.batch_ms = (_median_ms(session, rows) for rows in (1, BATCH))
    except ModelError as error:
        report.faults.append(BundleFault(f"during the timing runs: {error}", "do not use it"))
    return report


def _graph(report: BundleReport, path: Path) -> Iterator[BundleFault]:
    manifest = report.manifest
    assert manifest is not None
    try:
        data = path.read_bytes()
        found = read_onnx_versions(data)
    except OSError:
        return  # the session says so
    except ValueError as error:
        yield BundleFault(f"{path}: no ONNX file: {error}", COPY_HINT)
        return
    report.bytes = len(data)
    for name, has, most, text in (
        ("opset", found.opset, OPSET, manifest.opset),
        ("IR", found.ir, IR, manifest.ir),
    ):
        if has is None or has > most:
            yield BundleFault(
                f"{path.name} has {name} {has}; {most} is the newest allowed", EXPORT_HINT
            )
        if text is not None and text != has:
            yield BundleFault(f"{path.name} has {name} {has}; its manifest says {text}", COPY_HINT)


def _complete(manifest: BundleManifest, folder: Path) -> Iterator[BundleFault]:
    for name, there in (
        ("opset", manifest.opset), ("ir", manifest.ir), ("training", manifest.training or None),
        ("budget_mb", manifest.budget_mb),
    ):  # fmt: skip
        if there is None:
            yield BundleFault(f"its manifest has no `{name}`", "export it again", mild=True)
    if not (folder / "CARD.md").is_file():
        yield BundleFault("it has no CARD.md", WRITE_HINT, mild=True)


def _median_ms(session: ModelSession, rows: int) -> float:
    """Of runs with so many rows, each as the state begins, and with zeros for what is given."""
    manifest = session.manifest
    inputs: Mapping[str, Any] = {
        **{name: session.tensor([[0.0] * width] * rows) for name, width in manifest.fed.items()},
        **({"state": session.started([0.0] * rows)} if "state" in manifest.inputs else {}),
    }
    took = []
    for _ in range(RUNS):
        session.run(inputs)
        took.append(session.took_ms)
    return median(took)


class OnnxVersions(NamedTuple):
    """None for what the file does not say."""

    ir: int | None
    opset: int | None  # of the operators of ONNX itself


def read_onnx_versions(data: bytes) -> OnnxVersions:
    """The two versions at the head of an ONNX file, without the library that writes such files.

    Source: onnx/onnx.proto, message ModelProto: field 1 `ir_version`, field 8 `opset_import`, each
    with field 1 `domain` and field 2 `version`; wire format of protocol buffers. Raises ValueError
    for bytes that are no such message.
    """
    ir = opset = None
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            ir = value
        elif number == 8 and isinstance(value, bytes):
            part = dict(_fields(value))
            version = part.get(2)
            if part.get(1, b"") in (b"", b"ai.onnx") and isinstance(version, int):
                opset = version
    return OnnxVersions(ir, opset)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        field, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield field, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        if at + size > len(data):
            raise ValueError(f"field {field} ends behind the file")
        yield field, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
    raise ValueError(f"no number at byte {at}")

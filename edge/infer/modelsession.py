"""Runs one bundle through onnxruntime, after it has proved itself; checks every answer.

Nothing here is imported at the module's head that the extra `ml` brings: without it a session
cannot be built, and that is a ModelError like any other.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from edge.infer.bundlemanifest import (
    COPY_HINT,
    BundleManifest,
    ModelError,
    ModelInputError,
    read_manifest,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Tensor = NDArray[np.float32]

TRIES: Final = 3  # a golden case may be late twice: the machine has other things to do at start
STATM: Final = Path("/proc/self/statm")
UPDATE_HINT: Final = (
    "copy the bundle here again; if that does not help, install a newer onnxruntime"
)
SMALLER_HINT: Final = "try again when the machine is idle; if this repeats, use a smaller model"
OTHER_MACHINE_HINT: Final = (
    "do not use it here: this machine gives other results than the one that made the model"
)


class ModelSession:
    """A loaded model. `run` is for one thread at a time.

    Building it reads the bundle, checks its checksum, and reproduces the golden cases within
    tolerance and budgets, of time for each run and of memory for all of it. Raises ModelError.
    """

    def __init__(
        self,
        folder: Path,
        timer: Callable[[], int] = time.perf_counter_ns,
        resident: Callable[[], int | None] | None = None,
    ) -> None:
        self.manifest: BundleManifest = read_manifest(folder)
        self._timer = timer
        self.took_ms = 0.0  # of the last run
        self.golden = 0  # cases that it has reproduced
        self.grew_mb: float | None = None  # by loading it; None: this system does not report it
        try:
            import numpy
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as state
        except ImportError as error:
            raise ModelError(
                f"onnxruntime is not installed ({error})", "`pip install kerbstone[ml]`"
            ) from error
        self._numpy = numpy
        runtime: Any = onnxruntime  # it has no types of its own
        declared = [e for e in vars(state).values() if isinstance(e, type)]
        self._errors: tuple[type[Exception], ...] = (
            RuntimeError,
            ValueError,
            *(e for e in declared if issubclass(e, Exception)),
        )
        weigh = resident or resident_bytes
        before = weigh()  # the libraries are in: what comes now is this model's
        data = self._verified(folder)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False  # it would keep the largest batch for ever
        options.log_severity_level = 4
        try:
            self._session: Any = runtime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        except self._errors as error:
            raise ModelError(
                f"{self.manifest.file}: onnxruntime refuses it: {error}", UPDATE_HINT
            ) from error
        self._names = [output.name for output in self.manifest.outputs]
        self._agree()
        self._prove(folder / "golden.json")
        after = weigh()
        if before is not None and after is not None:
            self.grew_mb = max(0, after - before) / (1 << 20)
        allowed = self.manifest.budget_mb
        if allowed is not None and self.grew_mb is not None and self.grew_mb > allowed:
            raise ModelError(
                f"{self.manifest.name}: loading it took {self.grew_mb:.0f} MB, "
                f"{allowed:g} are allowed",
                SMALLER_HINT,
            )

    def tensor(self, rows: Sequence[Sequence[float]]) -> Tensor:
        """Rows of numbers, all of one width, as the model takes them.

        Packed row by row, they take a third of the time that `numpy.array` does.
        """
        pack = Struct(f"{len(rows[0])}f").pack
        whole = self._numpy.frombuffer(b"".join([pack(*row) for row in rows]), self._numpy.float32)
        tensor: Tensor = whole.reshape(len(rows), -1)
        return tensor

    def column(self, values: Sequence[float]) -> Tensor:
        """Numbers as one column."""
        return self._numpy.array(values, self._numpy.float32).reshape(-1, 1)

    def started(self, first: Sequence[float]) -> Tensor:
        """State rows of newcomers with these first values."""
        fixed = self._numpy.array(self.manifest.start, self._numpy.float32)
        times = self._numpy.array(self.manifest.times_first, self._numpy.float32)
        rows: Tensor = fixed + self.column(first) * times
        return rows

    def joined(self, above: Tensor, below: Tensor) -> Tensor:
        """State rows of both."""
        return self._numpy.concatenate([above, below])

    def revived(self, data: bytes) -> Tensor:
        """State rows from the bytes of a snapshot. Raises ModelError if they do not fit."""
        width = len(self.manifest.start)
        if not width:
            raise ModelError(f"{self.manifest.name} has no state")
        if len(data) % (4 * width):
            raise ModelError(f"a state of {len(data)} bytes is not rows of {width}")
        rows = self._numpy.frombuffer(data, "<f4").reshape(-1, width)
        if not self._numpy.isfinite(rows).all():
            raise ModelError("a state holds what is not a number")
        return rows.astype(self._numpy.float32)

    def row(self, data: bytes) -> Tensor:
        """One row of a state. Raises ModelError if these are not the bytes of one."""
        rows = self.revived(data)
        if len(rows) != 1:
            raise ModelError(f"a state of {len(rows)} rows is not one row")
        row: Tensor = rows[0]
        return row

    def run(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """All outputs, in the manifest's order. Raises ModelError for an answer that cannot be.

        ModelInputError, which is one, when the fault is in what was given.
        """
        add = self._numpy.add.reduce
        rows = len(next(iter(inputs.values())))
        for name, width in self.manifest.inputs.items():
            given = inputs.get(name)
            if given is None or given.shape != (rows, width):
                shape = "missing" if given is None else f"of the shape {given.shape}"
                raise ModelInputError(f"{self.manifest.name}: its input {name} is {shape}")
            # a state came from here, through the same look at it
            if name != "state" and not math.isfinite(add(given, axis=None)):
                raise ModelInputError(f"{self.manifest.name}: its input {name} is not a number")
        began = self._timer()
        try:
            answer: list[Tensor] = self._session.run(self._names, inputs)
        except self._errors as error:
            raise ModelError(f"{self.manifest.name}: {error}") from error
        self.took_ms = (self._timer() - began) / 1e6
        for tensor, want in zip(answer, self.manifest.outputs, strict=True):
            if tensor.shape != (rows, want.width):
                raise ModelError(f"{want.name} has the shape {tensor.shape}")
            if not math.isfinite(add(tensor, axis=None)):
                raise ModelError(f"{want.name} is not a number")
            if want.low is not None and tensor.min() < want.low - self.manifest.tolerance:
                raise ModelError(f"{want.name} is below {want.low}")
            if want.high is not None and tensor.max() > want.high + self.manifest.tolerance:
                raise ModelError(f"{want.name} is above {want.high}")
        return answer

    def _agree(self) -> None:
        """The graph takes and gives what the manifest says, by name."""
        for word, name, found in (
            ("takes", set(self.manifest.inputs), {i.name for i in self._session.get_inputs()}),
            ("gives", set(self._names), {o.name for o in self._session.get_outputs()}),
        ):
            # an output that nobody asks for costs nothing; an input that nobody gives is fatal
            if (name != found) if word == "takes" else (name - found):
                raise ModelError(
                    f"{self.manifest.file}: {word} {', '.join(sorted(found))}; "
                    f"the manifest says {', '.join(sorted(name))}",
                    COPY_HINT,
                )

    def _verified(self, folder: Path) -> bytes:
        path = folder / self.manifest.file
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path}: {error.strerror}", COPY_HINT) from error
        found = hashlib.sha256(data).hexdigest()
        if found != self.manifest.sha256:
            raise ModelError(
                f"{path}: checksum {found[:12]}, not {self.manifest.sha256[:12]}", COPY_HINT
            )
        return data

    def _prove(self, path: Path) -> None:
        table = partial(self._numpy.array, dtype=self._numpy.float32)
        try:
            cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
            pairs = [
                (
                    {name: table(case["inputs"][name]) for name in self.manifest.inputs},
                    {name: table(case["outputs"][name]) for name in self._names},
                )
                for case in cases
            ]
        except OSError as error:
            raise ModelError(f"{path}: {error.strerror}", COPY_HINT) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path}: not golden cases: {error!r}", COPY_HINT) from error
        if not pairs:
            raise ModelError(f"{path}: no golden case", COPY_HINT)
        for inputs, expected in pairs:
            quickest = math.inf
            for _ in range(TRIES):
                answer = self.run(inputs)
                quickest = min(quickest, self.took_ms)
                if quickest <= self.manifest.budget_ms:
                    break
            if quickest > self.manifest.budget_ms:
                raise ModelError(
                    f"{self.manifest.name}: a golden case took {quickest:.1f} ms, "
                    f"{self.manifest.budget_ms:g} are allowed",
                    SMALLER_HINT,
                )
            for name, tensor in zip(self._names, answer, strict=True):
                near = self._numpy.allclose(
                    tensor,
                    expected[name],
                    rtol=self.manifest.tolerance,
                    atol=self.manifest.tolerance,
                )
                if tensor.shape != expected[name].shape or not near:
                    raise ModelError(
                        f"{self.manifest.name}: a golden case gives another {name}",
                        OTHER_MACHINE_HINT,
                    )
            self.golden += 1


def resident_bytes() -> int | None:
    """The memory that this process holds now; None where the system does not report it."""
    try:
        pages = int(STATM.read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * mmap.PAGESIZE

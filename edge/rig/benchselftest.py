"""The self-test of a bench: each output is switched, and what comes back is compared.

One output at a time is on while all that is read back is looked at: so a wire that goes to the
wrong place is found, and two that touch. What is not read back is not evaluated.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final, Literal

from drivers.buses.gpiolines import DrivenLine, ReadLine
from drivers.buses.serialprobe import SerialProbe
from edge.rig.benchfile import PULLING, Bench, BenchOutput
from edge.rig.benchoutputs import open_output

SETTLE_S: Final = 0.05  # a relay takes 5 to 15 ms
TEXT: Final = bytes(range(256))
HEARD_S: Final = 3.0
Verdict = Literal["ok", "wrong", "not_evaluated"]


@dataclass(frozen=True, slots=True)
class SelfTestRow:
    """What became of one output or port."""

    name: str
    verdict: Verdict
    text: str


def self_test(bench: Bench, sleep: Callable[[float], None] = time.sleep) -> Iterator[SelfTestRow]:
    """Line by line, then port by port. The supply is not touched."""
    yield from _outputs(bench, sleep)
    for bus, serial in bench.serials.items():
        if serial.heard_by is None:
            yield SelfTestRow(f"bus {bus}", "not_evaluated", "nothing hears it (heard_by)")
        else:
            yield _port(f"bus {bus}", serial.port, serial.heard_by)


def _outputs(bench: Bench, sleep: Callable[[float], None]) -> Iterator[SelfTestRow]:
    with ExitStack() as stack:
        driven: dict[str, DrivenLine] = {}
        backs: dict[str, ReadLine] = {}
        failed: list[SelfTestRow] = []
        for name, output in bench.outputs.items():
            try:
                driven[name] = stack.enter_context(open_output(output))
                if output.back_chip is not None and output.back_line is not None:
                    bias = "up" if output.circuit in PULLING else "none"
                    back = ReadLine(output.back_chip, output.back_line, bias)  # type: ignore[arg-type]
                    backs[name] = stack.enter_context(back)
            except OSError as error:
                failed.append(SelfTestRow(name, "wrong", f"cannot be had: {error}"))
        yield from failed
        sleep(SETTLE_S)
        for name, line in driven.items():
            if name not in backs:
                yield SelfTestRow(name, "not_evaluated", "nothing reads it back")
                continue
            found = _switched(name, line, bench.outputs, backs, sleep)
            with suppress(OSError):  # whatever was wrong, it is off while the others are looked at
                line.set(False)
            sleep(SETTLE_S)
            yield found


def _switched(
    name: str, line: DrivenLine, outputs: Mapping[str, BenchOutput],
    backs: Mapping[str, ReadLine], sleep: Callable[[float], None],
) -> SelfTestRow:  # fmt: skip
    """On and off, twice: once may be chance."""
    for _ in range(2):
        for on in (True, False):
            try:
                line.set(on)
                sleep(SETTLE_S)
                seen = {each: _is_on(outputs[each], back) for each, back in backs.items()}
            except OSError as error:
                return SelfTestRow(name, "wrong", f"cannot be driven or read: {error}")
            others = sorted(each for each, is_on in seen.items() if is_on and each != name)
            if seen[name] is not on:
                where = f"it is read back as {'on' if seen[name] else 'off'} while it is "
                where += "on" if on else "off"
                also = f"; {', '.join(others)} is on instead: crossed?" if on and others else ""
                return SelfTestRow(name, "wrong", where + also)
            if others:
                return SelfTestRow(
                    name, "wrong", f"{', '.join(others)} is on, too: do the wires touch?"
                )
    return SelfTestRow(name, "ok", "read back twice as on and off, all others off")


def _is_on(output: BenchOutput, back: ReadLine) -> bool:
    """What pulls to ground is on while its line is low."""
    return back.is_high() is (output.circuit not in PULLING)


def _port(name: str, port: str, heard_by: str) -> SelfTestRow:
    """All bytes go out, and have to come back as they were."""
    try:
        with ExitStack() as stack:
            out = stack.enter_context(SerialProbe(port))
            ear = out if _same(port, heard_by) else stack.enter_context(SerialProbe(heard_by))
            out.write(TEXT)
            heard = ear.read(len(TEXT), HEARD_S)
    except OSError as error:
        return SelfTestRow(name, "wrong", f"{error}")
    if heard == TEXT:
        return SelfTestRow(name, "ok", f"{len(TEXT)} bytes went out, and came back as they were")
    if not heard:
        return SelfTestRow(name, "wrong", f"{heard_by} heard nothing: is A on A, and B on B?")
    return SelfTestRow(name, "wrong", f"{heard_by} heard {len(heard)} bytes, and others than went "
                       "out: are speed and parity the same, and both ends terminated?")  # fmt: skip


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)

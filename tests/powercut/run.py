"""`make power-cut`: what power cuts cost on a disk that keeps its word, on a slow one, on one that
lies; and that the rig would see it.

    python -m tests.powercut.run --cycles 50 --seed 1

The last run is of a daemon that does not wait for its disk (`synchronous = OFF`): if that loses
nothing that is seen, the rig sees nothing, and all of it has failed. Exit codes: 0 all is as it
should be, 1 it is not, or the rig sees no damage, 2 no guest. As it should be: nothing lost,
doubled or undeclared; on a disk that lies, no loss of which nobody speaks, and nothing doubled.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.rig.layer import LayerError
from edge.rig.volatiledisk import DISKS, DiskKind
from tests.kernel.build import build
from tests.kernel.offer import Unavailable
from tests.powercut.diskrun import CARELESS, CutFigures, DiskRun, causes, site_file
from tests.powercut.machine import CutGuest, CutMachine, CutMachineError, make_guest
from tests.powercut.spare import spare_disk

READY_S: Final = 400.0
SELF_TEST: Final = 3  # cycles; the first of them that works loses what is seen
HEAD: Final = ("disk", "cycles", "acknowledged", "lost", "silent", "doubled", "undeclared", "")


def main() -> int:
    options = _options()
    try:
        built = build()
    except Unavailable as reason:
        print(f"nothing was shown: there is no guest to boot: {reason}")
        return 2
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing of it is left running
    with tempfile.TemporaryDirectory(prefix="kerbstone-powercut-") as name:
        folder = Path(name)
        try:
            return _run(options, make_guest(built, folder, site_file(1, 1, warm=True)), folder)
        except (CutMachineError, LayerError) as error:
            print(f"the rig has failed: {error}")
            return 1
        finally:
            print(f"{(time.monotonic() - began) / 60:.1f} min in all")


def _run(options: argparse.Namespace, guest: CutGuest, folder: Path) -> int:
    saved = None if options.whole else _keep(guest, folder)
    bad = False
    rows: list[tuple[str, ...]] = [HEAD]
    said: list[str] = []
    for kind in options.disk or DISKS:
        figures = DiskRun(guest, saved, kind, folder / kind, options.seed, _say).run(options.cycles)
        wrong = _wrong(kind, figures)
        bad |= bool(wrong)
        rows.append(_row(kind, figures))
        said += [f"{kind}: {text}" for text in (*_counts(figures), *wrong)]
    if not options.disk:
        figures = DiskRun(
            guest, saved, "honest", folder / "careless", options.seed, _say, CARELESS
        ).run(SELF_TEST)
        rows.append(_row("honest, synchronous = OFF", figures))
        seen = figures.verdict is not None and figures.verdict.lost > 0
        said.append(
            "the rig sees what a daemon loses that does not wait for its disk" if seen else
            "A DAEMON THAT DOES NOT WAIT FOR ITS DISK HAS LOST NOTHING: the rig sees no damage"
        )  # fmt: skip
        bad |= not seen
    print()
    for row in rows:
        print(f"{row[0]:<26}" + "".join(f"{cell:>13}" for cell in row[1:7]) + f"  {row[7]}")
    print(*said, sep="\n")
    print("FAILED" if bad else "as it should be")
    return int(bad)


def _wrong(kind: DiskKind, figures: CutFigures) -> list[str]:
    """What must not be on this disk."""
    verdict = figures.verdict
    assert verdict is not None
    found = [*causes(figures)]
    good = verdict.honest if DISKS[kind].lies else verdict.unharmed
    if not good:
        found += [*verdict.texts[:20]] or ["nothing was acknowledged, or nothing promised"]
    return [f"WRONG: {text}" for text in found]


def _row(name: str, figures: CutFigures) -> tuple[str, ...]:
    verdict, seconds = figures.verdict, sorted(figures.seconds)
    assert verdict is not None
    median_s, longest_s = seconds[len(seconds) // 2], seconds[-1]
    return (
        name, str(figures.cycles), str(verdict.acknowledged), str(verdict.lost),
        str(verdict.silent), str(verdict.doubled), str(verdict.undeclared),
        f"{median_s:.1f} s a cycle, at most {longest_s:.1f}",
    )  # fmt: skip


def _counts(figures: CutFigures) -> Iterator[str]:
    verdict = figures.verdict
    assert verdict is not None
    counts = ", ".join(f"{name} {count}" for name, count in figures.counts.items())
    yield f"promised before a cut {verdict.promised}, the city is told {verdict.told}; {counts}"
    if verdict.lost or verdict.seen:
        how = ", ".join(f"{count} {name}" for name, count in verdict.seen.items())
        yield f"{verdict.lost} lost, of {verdict.silent} nobody speaks; seen: {how or 'nothing'}"
    if verdict.resealed:
        yield (f"{verdict.resealed} manifests were made again by starts on an older outbox, which "
               "the box itself has told of")  # fmt: skip


def _keep(guest: CutGuest, folder: Path) -> Path:
    """Boot once, and keep the machine as it is before it has touched its disk."""
    began = time.monotonic()
    with spare_disk(folder) as disk:
        machine = CutMachine(guest, disk)
        try:
            warm_s = machine.answer("ready", READY_S)
            ready_s = time.monotonic() - began
            machine.keep(folder / "saved")
        finally:
            machine.close()
    size_mb = (folder / "saved").stat().st_size >> 20
    print(f"booted and warm in {ready_s:.0f} s ({warm_s:.0f} of them the daemon's first start); "
          f"kept in {size_mb} MiB", flush=True)  # fmt: skip
    return folder / "saved"


def _say(text: str) -> None:
    print(text, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--disk", action="append", choices=[*DISKS], help="only this one, and no "
        "look whether the rig sees damage; may be repeated")  # fmt: skip
    parser.add_argument("--whole", action="store_true", help="boot all of the guest in each cycle")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

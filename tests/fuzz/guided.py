"""Guided by coverage: atheris looks for frames that take a decoder where none has been before.

`python -m tests.fuzz.guided --runs 100000 [DECODER ...]`. Each decoder has a process of its own,
for libFuzzer ends its process. What breaks a decoder is written to the folder where it was started.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

try:
    import atheris
except ImportError:
    print("atheris has no wheel for this machine: nothing was guided", file=sys.stderr)
    sys.exit(0)


def fire(decoder: str, runs: int) -> None:
    """All runs for one decoder; ends the process. What is imported here is watched."""
    with atheris.instrument_imports(include=["drivers"]):
        import drivers
        from tests.fuzz.target import Target, packed, unpacked

        drivers.catalogue()  # imports all of them
    target = Target(decoder, Random(1))

    def explain(data: bytes) -> None:
        """One byte says whose frames the rest is."""
        if data:
            target.explain(data[0], unpacked(data[1:]))

    with tempfile.TemporaryDirectory() as folder:
        for pick, frames in target.corpus():
            (Path(folder) / str(pick)).write_bytes(bytes((pick,)) + packed(frames))
        options = [f"-runs={runs}", "-max_len=4096", "-print_final_stats=1", folder]
        atheris.Setup([sys.argv[0], *options], explain)
        atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("decoders", nargs="*", help="all of them if none is named")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--one", action="store_true", help="in this process")
    args = parser.parse_args()
    if args.one:
        fire(args.decoders[0], args.runs)
    from tests.fuzz.target import decoders

    chosen = args.decoders or decoders()
    failed = []
    for count, decoder in enumerate(chosen, 1):
        again = [sys.executable, "-m", "tests.fuzz.guided", "--one", "--runs", str(args.runs)]
        done = subprocess.run([*again, decoder], capture_output=True, text=True, check=False)
        last = [line for line in done.stderr.splitlines() if "DONE" in line or "Error" in line]
        print(f"{count:3}/{len(chosen)}  {decoder:16} {last[-1].strip() if last else 'ended'}")
        if done.returncode:
            failed.append(decoder)
            print(done.stderr[-4000:], file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Pictures of `kerbstone live`, `read --watch` and `scan` as they are on a terminal of 80 columns.

`make pictures` runs the commands on pseudo-terminals beside a real daemon with the simulated
devices of the demo, and draws what the terminal shows. No check compares them: look at them.
"""

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import drivers
from docs.terminalpicture import screen_svg
from edge.cabinet.cabinet import Cabinet
from edge.config import load_site
from edge.demo.demobroker import run_broker
from edge.demo.demostreet import METER, demo_cabinet, load_trace
from edge.demo.rundemo import CONFIG
from tests.kit.ptyscreen import PtyScreen

ROOT: Final = Path(__file__).parents[1]
KERBSTONE: Final = (sys.executable, "-m", "edge.cli.main")
WARM_S: Final = 100.0  # until a window of a minute has ended, and values have a course
RUN_S: Final = 30.0


def site_file(folder: Path, port: int) -> Path:
    """The demo's site in this folder, with a minute's period and names."""
    text = CONFIG.read_text(encoding="utf-8").replace("/tmp/kerbstone-demo", str(folder))
    for before, after in (
        ("127.0.0.1:1883", f"127.0.0.1:{port}"),
        ('id = "demo"', 'id = "quay"\nname = "Am Kai"'),
        ('gateway = "demo-1"', 'gateway = "gw-17"'),
        ("period_s = 5", "period_s = 60"),
        ("[lane.north_1]", '[lane.north_1]\nname = "Nordstraße"'),
    ):
        assert before in text, before
        text = text.replace(before, after)
    file = folder / "site.toml"
    file.write_text(text, encoding="utf-8")
    (folder / "run").mkdir()
    return file


@contextlib.contextmanager
def running_box(folder: Path) -> Iterator[tuple[Path, Cabinet]]:
    """Broker, simulated wires and a daemon; gives its site file, and what may be broken."""
    with run_broker(folder) as (_, port):
        file = site_file(folder, port)
        listening = [*KERBSTONE, "subscribe", "--broker", f"mqtt://127.0.0.1:{port}"]
        quiet = subprocess.DEVNULL
        with (
            demo_cabinet(load_site(file, drivers.catalogue()), load_trace()) as cabinet,
            subprocess.Popen(listening, cwd=ROOT, stdout=quiet, stderr=quiet) as city,
            subprocess.Popen([*KERBSTONE, "run", str(file)], cwd=ROOT, stderr=quiet) as daemon,
        ):
            try:
                while not (folder / "run" / "control.sock").exists():
                    time.sleep(0.1)
                yield file, cabinet
            finally:
                daemon.terminate()
                city.terminate()


def shot(screen: PtyScreen, name: str, title: str, out: Path) -> None:
    """What the terminal shows now, without the empty rows at its end."""
    lines = max((at for at, row in enumerate(screen.rows, 1) if row), default=1)
    columns = screen.screen.columns
    rows = [[screen.screen.buffer[y][x] for x in range(columns)] for y in range(lines)]
    (out / f"{name}.svg").write_text(screen_svg(rows, columns, title), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=ROOT / "docs/img")
    out: Path = parser.parse_args().out
    out.mkdir(exist_ok=True)
    folder = Path(tempfile.gettempdir()) / "cabinet"  # its name is in the pictures
    folder.mkdir()
    try:
        with running_box(folder) as (file, cabinet):
            config = ("--config", str(file))
            with PtyScreen([*KERBSTONE, "live", *config], cwd=ROOT, lines=34) as screen:
                screen.wait("LANES")
                screen.read(WARM_S)
                cabinet.misbehave(METER, "silent")
                screen.wait("ISSUES 1 open issue")
                screen.read(3)
                shot(screen, "live", "kerbstone live on a terminal", out)
                screen.type("q")
                screen.end()
            watch = [*KERBSTONE, "read", "north_1", "hut_air", "--watch", *config]
            with PtyScreen(watch, cwd=ROOT, lines=34) as screen:
                screen.wait("hut_air")
                screen.read(RUN_S)
                shot(screen, "read-watch", "kerbstone read --watch on a terminal", out)
                screen.type("\x03")
                screen.end()
        _scan(folder, out)
    finally:
        shutil.rmtree(folder)
    return 0


def _scan(folder: Path, out: Path) -> None:
    """The same wires without a daemon."""
    folder /= "scan"
    folder.mkdir()
    site = load_site(site_file(folder, 1883), drivers.catalogue())
    with demo_cabinet(site, load_trace()):
        places = [f"sim:{folder}/i2c.sock", str(folder / "meter")]
        command = [*KERBSTONE, "scan", *places, "--baud", "9600", "--units", "1-3"]
        with PtyScreen(command, cwd=ROOT, lines=60) as screen:
            screen.end(240)
            shot(screen, "scan", "kerbstone scan on a terminal", out)


if __name__ == "__main__":
    sys.exit(main())

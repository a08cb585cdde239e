"""Two people who follow docs/card.md with a virtual machine as the box, word by word.

What the page says is on the box runs there, in the technician's session of ssh; all else runs on
this machine, which is desk, server and city.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from edge.platform.openstore import open_store
from tests.image.card import ImageCard
from tests.image.guest import ImageGuestError
from tests.image.town import BROKER, ENROL, METER, ImageTown
from tests.kit.cardpage import BOX, CABINET, CITY, DESK, OPERATOR, PLACES, SERVER, CardPage

TOP: Final = Path(__file__).parents[2]
ANSWER_S: Final = 900.0
HOST_NAME: Final = "box"  # as the technician's ssh knows the guest
SSH_CONFIG: Final = """\
Host {name}
    HostName 127.0.0.1
    Port {port}
    IdentityFile {key}
    IdentitiesOnly yes
    BatchMode yes
    StrictHostKeyChecking no
    UserKnownHostsFile {folder}/hosts
    ConnectTimeout 20
    LogLevel ERROR
"""


class TwoPeople:
    """Operator and technician, each in folders of their own. `card` is there once it is written."""

    def __init__(self, town: ImageTown, image: Path, folder: Path, ssh_port: int) -> None:
        self.page, self.town, self.folder = CardPage(), town, folder
        self.began = time.monotonic()
        self.folders = {each: folder / each.replace(", ", "-").replace(" ", "-") for each in PLACES}
        self.home, self.boot = folder / "home", folder / "BOOT"
        for each in (*self.folders.values(), self.home / ".ssh", self.boot, folder / "bin"):
            each.mkdir(parents=True)
        self.key = self.home / ".ssh/id_ed25519"
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)]
        subprocess.run(words, check=True, capture_output=True)
        config = folder / "ssh_config"
        config.write_text(
            SSH_CONFIG.format(name=HOST_NAME, port=ssh_port, key=self.key, folder=folder)
        )
        self._program("kerbstone", f'exec {sys.executable} -m edge.cli.main "$@"')
        self._program("ssh", f'exec {shutil.which("ssh")} -F {config} "$@"')
        self.raw = folder / "written.img"
        self.environment = {
            **os.environ, "PYTHONPATH": str(TOP), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.home), "CARD": str(self.raw), "BOOT": str(self.boot),
            "BOX": HOST_NAME, "ENROL": f"https://{ENROL}:{town.enrol_port}",
            "BROKER": f"mqtts://{BROKER}:{town.broker_port}",
            "CITY": f"mqtts://localhost:{town.platform_port}", "SERVER": str(town.home),
            "KERBSTONE_PROVISION": str(town.home), "PYTHONUNBUFFERED": "1",
        }  # fmt: skip
        self.store = self.folders[CITY] / "city.db"
        self._receipts: subprocess.Popen[str] | None = None
        for file in (town.home / "ca.pem", town.operator_key):
            shutil.copy(file, self.folders[OPERATOR])
        keys = self.folders[CITY] / "keys"
        keys.mkdir()
        shutil.copy(town.home / "ca.pem", keys / "ca.crt")
        for name in ("platform.crt", "platform.key"):
            shutil.copy(town.desk / name, keys)
        self._pack(image)

    def do(self, place: str, word: str, codes: tuple[int, ...] = (0,)) -> str:
        """Run the block, and wait for its end."""
        running = self.start(place, word)
        said, _ = running.communicate(timeout=ANSWER_S)
        if running.returncode not in codes:
            raise ImageGuestError(f"{place}: {word}: {running.returncode}\n{said[-3000:]}")
        return said

    def start(self, place: str, word: str) -> subprocess.Popen[str]:
        block = self.page.block(place, word)
        if place == BOX:
            # the session that step 4 begins; the shell there reads what is typed
            block = f"PLACES=tcp:{METER}:{self.town.meter_port}\n{block}"
            login = next(each for each in self.page.blocks if each.startswith(f"# {CABINET}\n"))
            block = f"{login.rstrip()} bash -eu <<'END'\n{block}END\n"
        return subprocess.Popen(
            ["sh", "-eu", "-c", block], env=self.environment, cwd=self.folders[place], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def write_card(self) -> ImageCard:
        """Steps 1 and 2."""
        self.do(OPERATOR, "provision new")
        shutil.copy(self.folders[OPERATOR] / "claim-gw-17/kerbstone-claim.toml", self.folders[DESK])
        self.do(DESK, "dd of=")
        self.do(DESK, "kerbstone-ssh.pub")
        card = ImageCard(self.raw, self.folder)
        self.raw.unlink()
        for file in self.boot.iterdir():
            card.put(file.name, file.read_bytes())
        return card

    def log_in(self) -> None:
        """Step 4, when the box answers."""
        login = self.page.block(CABINET, "ssh")
        end = time.monotonic() + ANSWER_S
        while True:
            done = subprocess.run(
                ["sh", "-eu", "-c", login], input="exit\n", env=self.environment, check=False,
                capture_output=True, text=True, timeout=ANSWER_S,
            )  # fmt: skip
            if done.returncode == 0:
                return
            if time.monotonic() > end:
                raise ImageGuestError(f"no login: {done.stderr}")
            time.sleep(2)

    def read_code(self) -> str:
        said = self.do(BOX, "kerbstone status", (3,))
        found = re.search(r"^ *code: +([A-Z2-7]{4}-[A-Z2-7]{4})$", said, re.MULTILINE)
        if found is None:
            raise ImageGuestError(f"the box shows no code:\n{said}")
        return found[1]

    def approve(self, code: str) -> None:
        self.environment["CODE"] = code
        if code not in self.do(SERVER, "provision approve"):
            raise ImageGuestError("the operator sees another code")

    def edit_found(self) -> str:
        """`editor site.toml` of step 5: a better name. What scan has found."""
        if not self.typed("command -v editor").startswith("/"):
            raise ImageGuestError("there is no editor")
        said = self.typed("sed -i 's/device.sdm630/device.main_meter/' site.toml; cat site.toml")
        if "[device.main_meter]" not in said:
            raise ImageGuestError(f"scan has found no meter:\n{said}")
        return said

    def typed(self, command: str, given: str = "") -> str:
        """What a technician types who knows more than the page; `given`: its standard input."""
        words = ["ssh", f"technician@{HOST_NAME}", command]
        done = subprocess.run(
            words, env=self.environment, input=given, capture_output=True, text=True, check=False,
            timeout=ANSWER_S,
        )  # fmt: skip
        return done.stdout + done.stderr

    def propose(self, text: str) -> subprocess.Popen[str]:
        """What a technician does later: the page's last part, with a file of his own."""
        file = self.folders[BOX] / "later.toml"
        file.write_text(text)
        with file.open() as typed:
            return subprocess.Popen(
                ["ssh", f"technician@{HOST_NAME}", "kerbstone propose - --wait"], stdin=typed,
                env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def edit_proposed(self) -> None:
        """The operator's editor in step 6."""
        file = self.folders[OPERATOR] / "gw-17.toml"
        text = file.read_text().replace(
            "[site]\n", '[site]\nzone = "Europe/Berlin"\nperiod_s = 10\n'
        )
        file.write_text(text)

    def open_store(self) -> None:
        """Step 7: what runs all the time."""
        self._receipts = self.start(CITY, "kerbstone receipts")

    def stored(self) -> int:
        """How many records of the meter are in the city's store."""
        if not self.store.exists():
            return 0
        found = open_store(self.store, write=False)
        try:
            return sum(each.source == "main_meter" for each in found.records("gw-17"))
        finally:
            found.close()

    def close(self) -> None:
        if self._receipts is not None:
            os.killpg(self._receipts.pid, signal.SIGINT)
            self._receipts.communicate(timeout=60)

    def counted(self) -> str:
        """What the page takes."""
        left = [each for each in self.page.blocks if each not in self.page.followed]
        if left:
            raise ImageGuestError(f"nobody has run: {left}")
        minutes = (time.monotonic() - self.began) / 60
        return f"{self.page.steps} steps, {len(self.page.commands)} commands, {minutes:.1f} minutes"

    def _pack(self, image: Path) -> None:
        """The image as it is given away; the quickest level will do."""
        folder = self.folders[DESK]
        packed = folder / "kerbstone-test-arm64.img.xz"
        with packed.open("wb") as out:
            subprocess.run(["xz", "-1", "-T2", "-c", str(image)], stdout=out, check=True)
        sums = subprocess.run(["sha256sum", packed.name], cwd=folder, stdout=subprocess.PIPE)
        (folder / "SHA256SUMS").write_bytes(sums.stdout)

    def _program(self, name: str, line: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

"""A TPM of one test: swtpm behind a socket, and what makes OpenSSL use it."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.identity.traced_process import ROOT
from tests.kit.waiting import wait_until

SWTPM: Final = shutil.which("swtpm")
PROVIDER: Final = next(iter(sorted(Path("/usr/lib").glob("*/ossl-modules/tpm2.so"))), None)
CONF: Final = re.compile(r"```ini\n(# /etc/kerbstone/openssl-tpm2\.cnf\n.*?)```", re.DOTALL)


def missing() -> str:
    """What is not installed here; "" when all is."""
    if SWTPM is None:
        return "swtpm is not installed: apt-get install swtpm"
    return "" if PROVIDER else "OpenSSL has no provider for a TPM: apt-get install tpm2-openssl"


class Tpm:
    """`env` makes OpenSSL of a process use it, with the configuration of the documents."""

    def __init__(self, folder: Path) -> None:
        state = folder.absolute() / "tpm"  # with a relative one swtpm goes into failure mode
        state.mkdir(parents=True)
        found = CONF.search((ROOT / "docs/enrolment.md").read_text())
        assert found, "docs/enrolment.md shows no configuration of OpenSSL"
        conf = folder / "openssl-tpm2.cnf"
        conf.write_text(found[1])
        self.log = folder / "swtpm.log"
        # a socket's path is short, and a test's folder is not
        self._place = tempfile.TemporaryDirectory(prefix="kerbstone-")
        door = Path(self._place.name, "tpm")
        self.env = {"OPENSSL_CONF": str(conf), "TPM2OPENSSL_TCTI": f"swtpm:path={door}"}
        self._process = subprocess.Popen(
            [str(SWTPM), "socket", "--tpm2", "--tpmstate", f"dir={state}",
             "--server", f"type=unixio,path={door}", "--ctrl", f"type=unixio,path={door}.ctrl",
             "--flags", "not-need-init,startup-clear", "--log", f"file={self.log}"],
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(lambda: door.exists() and door.with_name("tpm.ctrl").exists())

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._place.cleanup()

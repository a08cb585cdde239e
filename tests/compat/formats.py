"""Which formats there are, and which version of each the code writes.

Every constant in `edge` and `drivers` that is named as a version of something kept stands here: as
a format, or as what is none and why. So nobody changes one, or adds one, without being asked for a
new folder or for a reader of the old one (`test_formats`).
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
NAMED: Final = re.compile(
    r"(\w+_)?(VERSION|MAGIC|APPLICATION_ID|SCHEMA|DICTIONARY|FORMAT)|HEAD|FORM"
)
ASSIGNED: Final = re.compile(r"^([A-Z][A-Z_0-9]*)(?:: [^=\n]+)? = ", re.MULTILINE)

FORMATS: Final[Mapping[str, str]] = {
    "outbox: application": "edge.outbox.database:APPLICATION_ID",
    "outbox: version": "edge.outbox.database:USER_VERSION",
    "outbox: tables": "edge.outbox.database:SCHEMA",
    "outbox: dictionary": "edge.outbox.deflate:DICTIONARY",
    "stage": "edge.acquire.stage:VERSION",
    "state: all owners": "edge.gateway.windowcommitter:STATE_VERSION",
    "state: engine": "edge.process.snapshot:SNAPSHOT_VERSION",
    "state: flags": "edge.infer.judgestate:VERSION",
    "state: judge": "edge.infer.judge:VERSION",
    "state: judge, loops": "edge.infer.loops.loopjudge:VERSION",
    "state: judge, drift": "edge.infer.drift:VERSION",
    "state: manifest": "edge.uplink.manifests:VERSION",
    "state: moments": "edge.uplink.timestamps:VERSION",
    "state: drivers, gas index": "drivers.chips._saved_state:HEAD",
    "state: drivers, dsmr": "drivers.chips.dsmr:HEAD",
    "state: drivers, canoga": "drivers.chips.canoga:FORM",
    "state: box": "edge.gateway.boxchange:STATE_VERSION",
    "backup": "edge.diagnose.backupfile:VERSION",
    "commissioning": "edge.commission.session:VERSION",
    "acceptance sheet": "edge.commission.sheet:SHEET_VERSION",
    "site file": "edge.config.model:VERSION",
    "scenario": "edge.rig.scenario:VERSION",
    "bench of a rig": "edge.rig.benchfile:VERSION",
    "report of a rig": "edge.rig.jsonreport:FORMAT",
    "wire": "edge.wire.contract.schemas:VERSION",
    "control socket": "edge.control.protocol:VERSION",
    "city: application": "edge.platform.storetables:APPLICATION_ID",
    "city: version": "edge.platform.storetables:USER_VERSION",
    "city: tables": "edge.platform.storetables:SCHEMA",
    "city: JSON lines": "edge.platform.jsonlstore:VERSION",
    "enrolment server: application": "edge.provision.enroldatabase:APPLICATION_ID",
    "enrolment server: version": "edge.provision.enroldatabase:USER_VERSION",
    "enrolment server: tables": "edge.provision.enroldatabase:SCHEMA",
}
"""Format -> where the code says which version it writes."""

OLDER: Final[Mapping[str, frozenset[Any]]] = {
    "city: version": frozenset({2}),
    "city: tables": frozenset({"6fe9e2db8af79f16d1f7f6c3f3b32c35b265bbdcb6c3beee4364c433f5a66655"}),
}
"""Format -> what the code reads beside what it writes. A folder of such a version shows it."""

SOCKET: Final = "a simulator's socket, which nobody keeps"
NO_FORMATS: Final[Mapping[str, str]] = {
    "drivers.buses.i2c_remote:MAGIC": SOCKET,
    "drivers.buses.i2c_remote:VERSION": SOCKET,
    "edge.core.release:VERSION": "of the program",
    "edge.gateway.recordingfile:VERSION": "gone ten minutes later; a saved one is for its program",
    "edge.identity.claim:EXPIRES_FORMAT": "how a day is written; claims are of the enrolment",
    "edge.platform.storetables:FORMER_VERSION": "the one that is read beside `city: version`",
    "edge.platform.postgres.migrate:SCHEMA": "a name in the database",
    "edge.platform.postgres.dayexport:SCHEMA": "a name in the database",
    "edge.outbox.walframes:WAL_FORMAT": "SQLite's",
    "edge.rig.guest.netem:HEAD": "the kernel's",
    "edge.rig.guestwires:HEAD": "between a rig and its guest, which nobody keeps",
    "edge.rig.nbdserver:OPTION_MAGIC": "of the network block device protocol",
    "edge.rig.nbdserver:REPLY_MAGIC": "of the network block device protocol",
    "edge.outbox.walframes:WAL_MAGIC": "SQLite's",
}
"""Constants of such a name that are no version of anything of ours, each with its reason."""


def code_versions() -> dict[str, Any]:
    """Format -> the version that this code writes; of a long one its digest."""
    found = {}
    for name, place in FORMATS.items():
        module, _, constant = place.partition(":")
        found[name] = _short(getattr(import_module(module), constant))
    return found


def _short(value: Any) -> Any:
    if isinstance(value, int):
        return value
    if isinstance(value, str | bytes) and len(value) < 32:
        return value if isinstance(value, str) else value.decode()
    data = value if isinstance(value, bytes) else repr(value).encode()
    return hashlib.sha256(data).hexdigest()


def constants() -> Iterator[str]:
    """All of the code that are named like a version, as `module:NAME`."""
    for package in ("edge", "drivers"):
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            if module.startswith("drivers.sim."):  # the other end of a wire keeps nothing
                continue
            for name in ASSIGNED.findall(path.read_text("utf-8")):
                if NAMED.fullmatch(name):
                    yield f"{module.removesuffix('.__init__')}:{name}"

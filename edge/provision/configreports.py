"""What boxes say of signed configurations that they cannot use: one file `reports/ID.json` each."""

from pathlib import Path

import msgspec

from edge.core import ConfigError
from edge.identity.names import is_gateway
from edge.identity.proposal import ConfigReport
from edge.provision import operatorfiles


class KeptReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report, and the box whose certificate it came with."""

    v: int = 1
    gateway: str
    site: str
    received: str
    report: ConfigReport


class ReportFolder:
    """Used by any number of threads and processes: a file is whole, the last one stays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, new: KeptReport) -> None:
        """Raises OSError."""
        self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        path = self.folder / f"{new.gateway}.json"
        operatorfiles.replace_file(path, msgspec.json.encode(new))

    def all(self) -> list[KeptReport]:
        """By name. Raises ConfigError for a file that is damaged."""
        names = sorted(path for path in self.folder.glob("*.json") if is_gateway(path.stem))
        return [self._read(path) for path in names]

    def _read(self, path: Path) -> KeptReport:
        try:
            return msgspec.json.decode(operatorfiles.read_file(path, "report"), type=KeptReport)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigError(f"{path}: no report: {error}; remove this file") from None

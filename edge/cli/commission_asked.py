"""The daemon, as `kerbstone commission` asks it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.cli.site_options import load_site_or_report, run_dir_without_site
from edge.config import Store
from edge.control.handover import why_stopped
from edge.control.protocol import NoAnswerError, VerbError, ask_daemon

TELLS: Final = "commission"
CHANGES: Final = "commission_step"
TEST_S: Final = 40.0  # a slow bus is read several times
LOOK_S: Final = 0.5
QUIET_S: Final = 4.0  # after the last vehicle: its passage is over, and nobody else is near
NO_DAEMON: Final = (
    "the daemon does not run: start it (`sudo systemctl start kerbstone`); commissioning asks it"
)


class NotReachedError(Exception):
    """No daemon that could be asked."""


@dataclass(frozen=True, slots=True)
class CommissionAsker:
    """Asks the daemon of one gateway. `config` is its site file, which may be closed to us; `store`
    the folder of its outbox."""

    run_dir: Path
    config: Path
    store: Path

    @classmethod
    def of(cls, config: Path) -> "CommissionAsker | None":
        """None: the site file is wrong, and that has been said."""
        folder, store = run_dir_without_site(config), Path(Store().dir)
        if folder is None:
            site = load_site_or_report(config)
            if site is None:
                return None
            folder, store = Path(site.store.run_dir), Path(site.store.dir)
        return cls(folder, config, store)

    def state(self, **arguments: Any) -> dict[str, Any]:
        """Where it stands, or with `form` a sheet. Raises VerbError, NotReachedError."""
        return self._ask(TELLS, arguments)

    def ask(self, act: str, **arguments: Any) -> dict[str, Any]:
        """Do a step. Raises VerbError with the daemon's words, NotReachedError."""
        return self._ask(CHANGES, {"act": act, **arguments})

    def _ask(self, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer = ask_daemon(self.run_dir, verb, TEST_S, **arguments)
        except NoAnswerError as error:
            raise NotReachedError(str(error)) from error
        except OSError as error:
            raise NotReachedError(f"{self.run_dir}: {error}") from error
        if answer is None:
            raise NotReachedError(why_stopped(self.store, NO_DAEMON))
        return answer

    def step(self, state: Mapping[str, Any], id_: str) -> dict[str, Any]:
        """A step of an answer. Raises VerbError for one that is not there."""
        for row in state["steps"]:
            if row["id"] == id_:
                return dict(row)
        raise VerbError(f"there is no step {id_!r}: `kerbstone commission state` lists them")

    def wait_for_vehicle(self, most_s: float) -> None:
        """Until a vehicle has passed and the road is quiet again, or for so long."""
        end_s = time.monotonic() + most_s
        while time.monotonic() < end_s:
            drive = self.state()["drive"]
            if drive is None or not drive["running"]:
                return
            ages = [one["age_s"] for one in drive["passages"]]
            if ages and min(ages) >= QUIET_S:
                return
            time.sleep(LOOK_S)

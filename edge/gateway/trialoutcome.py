"""`config-outcome` in the run folder: how a trial has ended. It is no secret.

For root, who puts the former file back (`edge.gateway.sitefile`) or tells the operator
(`edge.identity.renew`).
"""

import logging
from pathlib import Path
from typing import Final

import msgspec

from edge.durable.atomicwrite import replace_file
from edge.identity.configoutcome import OUTCOME_NAME, ConfigOutcome, read_config_outcome

LOG: Final = logging.getLogger("kerbstone")


def write_outcome(run_dir: Path, digest: str, state: str, text: str, reason: str = "") -> None:
    """Of the file with this digest. One that cannot be written is only logged."""
    path = run_dir / OUTCOME_NAME
    outcome = ConfigOutcome(digest=digest, state=state, reason=reason, text=text)
    try:
        replace_file(path, msgspec.json.encode(outcome), 0o640, exact_mode=True, sync=False)
    except OSError as error:
        LOG.warning("%s: %s", path, error)


def forget_outcome(run_dir: Path, digest: str) -> None:
    """Root shall not put a file back for a trial that it had before."""
    former = read_config_outcome(run_dir / OUTCOME_NAME)
    if former is not None and former.digest == digest:
        write_outcome(run_dir, digest, "trial", "on trial again")

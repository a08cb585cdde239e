"""`kerbstone config spool`: root's side of the page, started by kerbstone-config.path.

First what the daemon says of the last change is carried out (a file that was rolled back gives way
to the former one), then what the page has left is checked and put in place. The daemon takes it in
a second step (`--take`), when the unit has let the daemon reach the new brokers.
"""

import argparse
from pathlib import Path

from edge.cli.site_options import is_signed_box
from edge.core import ConfigError
from edge.gateway.configapply import (
    ApplyRefusedError,
    ConfigApplier,
    UnusableTextError,
    no_trial_text,
    why_none_runs,
)
from edge.identity.configoutcome import read_config_outcome
from edge.identity.configspool import (
    FINDINGS,
    ConfigAnswer,
    ConfigRequest,
    RequestFinding,
    config_spool,
    read_answer,
    take_request,
    write_answer,
)
from edge.kernelclock import KernelClock
from edge.terminal import echo


def spool(args: argparse.Namespace) -> int:
    """Root's side of the page: never raises for what lies there."""
    folder = config_spool()
    applier = ConfigApplier(args.config, KernelClock().now())
    if args.take:
        return _spool_take(applier, folder)
    outcome = read_config_outcome(args.outcome)
    own = outcome is not None and not is_signed_box(args.config)
    try:
        if outcome is not None and own and applier.file.settle(outcome):
            echo(f"{args.config} is the former file again: {outcome.text}", err=True)
    except OSError as error:  # the daemon runs with its own copy; the next run tries it again
        echo(f"{args.config} cannot be put back yet: {error}", err=True)
    try:
        request = take_request(folder)
    except ConfigError as error:
        echo(f"kerbstone config spool: thrown away: {error}", err=True)
        return 0
    if request is not None:
        write_answer(folder, _spooled(args, applier, request))
    return 0


def _spooled(
    args: argparse.Namespace, applier: ConfigApplier, request: ConfigRequest
) -> ConfigAnswer:
    def refused(text: str, errors: tuple[RequestFinding, ...] = ()) -> ConfigAnswer:
        return ConfigAnswer(id=request.id, state="refused", text=text, errors=errors)

    if is_signed_box(args.config):
        return refused("the operator signs the configuration of this box: propose the file to him")
    try:
        applied = applier.replace(request.text, "site.toml", request.base, request.confirm_s)
    except UnusableTextError as error:
        rows = (RequestFinding(p.line, p.key, p.text) for p in error.problems[:FINDINGS])
        return refused("the file has errors", tuple(rows))
    except (ConfigError, OSError) as error:
        return refused(str(error))
    return ConfigAnswer(id=request.id, state="replaced", digest=applied.digest)


def _spool_take(applier: ConfigApplier, folder: Path) -> int:
    answer = read_answer(folder)
    if answer is None or answer.state != "replaced":
        return 0
    try:
        taken = applier.take(answer.digest)
    except ApplyRefusedError as error:
        text = f"the file is in place, and the daemon does not take it: {error}"
        write_answer(folder, ConfigAnswer(
            id=answer.id, state="replaced", text=text, digest=answer.digest))  # fmt: skip
        return 0
    if taken is None:
        text = why_none_runs(applier.file.path, "no daemon runs")
    else:
        text = "; ".join(filter(None, (str(taken["restarts_text"]), no_trial_text(taken))))
    write_answer(folder, ConfigAnswer(
        id=answer.id, state="taken", text=text, digest=answer.digest))  # fmt: skip
    return 0

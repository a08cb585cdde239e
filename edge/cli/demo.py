"""`kerbstone demo [--seconds N]`: a simulated intersection, a broker and a subscriber, here."""

import argparse
import logging

from edge.core import ConfigError
from edge.demo.demobroker import NoBrokerError
from edge.demo.rundemo import new_screen, run_demo
from edge.terminal import echo, log_to_stderr


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("demo", help="a simulated intersection", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, metavar="N", help="end after this time; default: never"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    log_to_stderr("%(levelname)s %(name)s: %(message)s", logging.ERROR)
    try:
        return run_demo(args.seconds, new_screen())
    except (NoBrokerError, ConfigError) as error:
        echo(f"kerbstone demo: {error}", err=True)
        return 2

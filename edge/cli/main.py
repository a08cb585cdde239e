"""`kerbstone VERB ...`. Exit codes: 0 fine, 1 a finding, 2 wrong use, 3 a broker, a store or a
device cannot be reached, or the output cannot be written.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from typing import Final

from edge.cli.examples import EXAMPLES, help_text
from edge.core import ConfigError
from edge.core.release import VERSION
from edge.terminal import Parser, echo, log_faults, run_command

VERBS: Final = {
    "run": "read the devices of a site and publish their values",
    "demo": "a simulated intersection, a broker and a subscriber, all on this machine",
    "check": "list all errors of a site file",
    "read": "what a device, a lane or a contact says now",
    "live": "what this gateway does now, on the whole terminal",
    "import": "make recorded edges and a site file of logs of signal controllers or of IRIS",
    "recorder": "what came in lately, frozen around flags and faults",
    "replay": "run recorded edges or a recording through the code of the daemon, at full speed",
    "score": "score a series for anomalies",
    "decode": "decode recorded frames",
    "doctor": "say what is wrong, from the wires to the city, and what to do",
    "scan": "find the devices on the wires, and print them as a configuration",
    "config": "change the site file as a transaction: diff, apply, confirm, rollback, status",
    "propose": "send a site file to the operator, who signs it",
    "commission": "prove what was mounted, step by step, and sign the acceptance",
    "access-point": "open a Wi-Fi for a phone at the door, for an hour",
    "sim": "simulate a device, or the whole cabinet of a site file, without hardware",
    "rig": "try a box under test by a scenario file: traffic, faults, what it has to do",
    "sample": "an example of a driver's tables in a site file, or of a whole site file",
    "subscribe": "show or check the messages of gateways at a broker",
    "status": "the state of this gateway, and what you have to do",
    "support": "put all that helps to find a fault into one file, without secrets",
    "web": "the page of this gateway, for a browser on a phone or a laptop",
    "backup": "put all that another box needs to go on in this one's place into a file",
    "restore": "go on in the place of the box whose backup this is",
    "receipts": "store the records of gateways, and send receipts for what is stored",
    "sink": "store the records of a whole city, from RabbitMQ into PostgreSQL",
    "archive": "pack old days of a city's database, and remove those that are proved",
    "export": "write a day of a city's view as Parquet",
    "audit": "prove that a store of records is complete",
    "fleet": "simulate many gateways at one broker, to measure brokers and stores",
    "conform": "check whether a gateway keeps the contract, from the broker's side",
    "outbox": "what waits for the platform; `outbox rescue FILE` sends what a file still holds",
    "provision": "claims for new boxes, and the enrolment server for their certificates",
    "models": "list, check and compare the models",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. Only that verb's module is imported: a command starts as fast as it can."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    log_faults()
    return run_command("kerbstone", lambda: _run(arguments))


def whole_parser() -> Parser:
    """With all verbs: for man pages and completion."""
    parser, verbs = _parser()
    for verb in VERBS:
        _register(verb, verbs)
    return parser


def _parser() -> tuple[Parser, "argparse._SubParsersAction[Parser]"]:
    parser = Parser(prog="kerbstone", description=__doc__)
    parser.add_argument("--version", action="version", version=f"kerbstone {VERSION}")
    return parser, parser.add_subparsers(dest="verb", required=True, metavar="VERB")


def _register(verb: str, verbs: "argparse._SubParsersAction[Parser]") -> None:
    import_module(f"edge.cli.{_module(verb)}").register(verbs)
    parser = verbs.choices[verb]
    shown = [parser.epilog, help_text(EXAMPLES[verb]) if verb in EXAMPLES else None]
    parser.epilog = "\n\n".join(part for part in shown if part)


def _run(arguments: Sequence[str]) -> int:
    parser, verbs = _parser()
    wanted = next((word for word in arguments if not word.startswith("-")), None)
    for verb, text in VERBS.items():
        if wanted == verb:
            _register(verb, verbs)
        else:
            verbs.add_parser(verb, help=text)
    args = parser.parse_args(arguments)
    try:
        return int(args.run(args))
    except ConfigError as error:  # what only shows when devices are built
        echo(f"kerbstone {args.verb}: {error}", err=True)
        return 2
    except KeyboardInterrupt:
        return 130


def _module(verb: str) -> str:
    """Neither a word of Python nor one with a dash is a name of a module."""
    name = verb.replace("-", "_")
    return f"{name}_" if iskeyword(name) else name


if __name__ == "__main__":
    sys.exit(main())

"""Examples of each verb: `--help` and the man pages show them, and a test parses each.

A command may go on in a pipe or into a file; what stands before it, such as `sudo`, too.
"""

from collections.abc import Mapping
from textwrap import wrap
from typing import Final, NamedTuple

WIDTH: Final = 70  # columns of a command
SITE: Final = "/etc/kerbstone/site.toml"
BROKER: Final = "mqtts://broker.example:8883 --ca ca.pem"


class Example(NamedTuple):
    """What it is for, and what is typed."""

    purpose: str
    command: str


EXAMPLES: Final[Mapping[str, tuple[Example, ...]]] = {
    "run": (
        Example("what the service does: see its log on this terminal", f"kerbstone run -v {SITE}"),
    ),
    "demo": (
        Example("until Ctrl-C", "kerbstone demo"),
        Example("for one minute", "kerbstone demo --seconds 60"),
    ),
    "check": (
        Example("what is wrong with a file, at a desk, too", "kerbstone check site.toml"),
        Example("the same for a program", "kerbstone check --json site.toml | jq .errors"),
    ),
    "config": (
        Example("what would change, and what would start anew", "kerbstone config diff new.toml"),
        Example(
            "apply it; it comes back by itself unless you confirm it in time",
            "sudo kerbstone config apply new.toml --confirm-within 10m",
        ),
        Example("it may stay", "kerbstone config confirm"),
        Example("how its trial goes", "kerbstone config status"),
    ),
    "read": (
        Example("what a meter says now", "kerbstone read main_meter"),
        Example("does this lane's loop work?", "kerbstone read north_1 --watch"),
        Example("everything, and how old it is", "kerbstone read --all"),
        Example(
            "what is new, for a program",
            "kerbstone read --all --watch --json | jq -c 'select(.what == \"lane\")'",
        ),
        Example(
            "from a file that is not in use yet", "sudo kerbstone read hut_air --config site.toml"
        ),
    ),
    "live": (
        Example("the whole box", "kerbstone live"),
        Example("some of it, over a slow line", "kerbstone live north_1 hut_air --every 5"),
    ),
    "web": (
        Example("what the service serves, on this machine only", "kerbstone web"),
        Example("to compare with what the phone shows", "sudo kerbstone web --fingerprint"),
        Example("a new secret for the login", "sudo kerbstone web secret"),
    ),
    "commission": (
        Example("all steps, one after the other, at a terminal", "kerbstone commission"),
        Example("begin without a terminal", 'kerbstone commission begin --by "A. Muster"'),
        Example("all devices", "kerbstone commission test all"),
        Example(
            "look at the loops while somebody drives",
            "kerbstone commission drive north_1 --speed 30",
        ),
        Example(
            "what was measured at the feeder",
            "kerbstone commission field loop:north_1.lead inductance_uh 122",
        ),
        Example("the last sheet, for people", "kerbstone commission export acceptance.html"),
        Example(
            "in the city: is this sheet whole, and that box's?",
            "kerbstone commission verify acceptance.json --keys certs",
        ),
    ),
    "import": (
        Example(
            "a day of a signal controller, and what Kerbstone would have said of it",
            "kerbstone import log.csv --zone Europe/Berlin --out day && "
            "kerbstone replay --config day/1.toml --edges day/1.csv.gz",
        ),
    ),
    "recorder": (
        Example("what is there, and for how long", "kerbstone recorder list"),
        Example(
            "keep the last minutes, because a vehicle was not counted",
            "kerbstone recorder freeze --why 'a lorry was not counted'",
        ),
        Example("take the recording along", "kerbstone recorder save 3"),
    ),
    "replay": (
        Example(
            "does this version say the same as the gateway did",
            "kerbstone replay recording-3.rec --config site.toml --quiet",
        ),
        Example(
            "make a regression test of it",
            "kerbstone replay recording-3.rec --config site.toml --test tests/test_lorry.py",
        ),
        Example(
            "a recorded day as a picture",
            "kerbstone replay --config site.toml --edges day.csv.gz --plot day.html --quiet",
        ),
        Example(
            "only its events",
            "kerbstone replay --config site.toml --edges day.csv | grep '\"event\"'",
        ),
    ),
    "score": (
        Example("each value of a series", "kerbstone score power.csv > scores.csv"),
        Example("from a pipe", "zcat power.csv.gz | kerbstone score -"),
    ),
    "decode": (
        Example("a frame of a particle sensor", "kerbstone decode sds011 aac0d4043a0aa1601dab"),
    ),
    "doctor": (
        Example("from the wires to the city", "kerbstone doctor"),
        Example("one bus and one device", "kerbstone doctor meters hut_air"),
        Example("only some checks", "kerbstone doctor --check tls_name --check broker"),
        Example(
            "for a program",
            "kerbstone doctor --json | jq '.checks[] | select(.outcome == \"fault\")'",
        ),
    ),
    "scan": (
        Example("all buses and adapters of this box", "sudo kerbstone scan"),
        Example(
            "one RS-485 line, at two rates", "kerbstone scan /dev/ttyUSB0 --baud 9600,19200"
        ),
        Example("keep it as a draft", "kerbstone scan /dev/i2c-1 > site.toml"),
        Example("send it to the operator as it is", "kerbstone scan --propose"),
    ),
    "propose": (
        Example("see what would be sent", "kerbstone propose site.toml --show"),
        Example("send it, and wait for the operator", "kerbstone propose site.toml --wait"),
    ),
    "access-point": (
        Example("for an hour, for a phone at the door", "kerbstone access-point open"),
        Example("is it open, and for how long?", "kerbstone access-point status"),
    ),
    "sim": (
        Example("the whole cabinet of a site file", "kerbstone sim site.toml"),
        Example("a meter in it falls silent", "kerbstone sim fault main_meter silent"),
        Example("one meter on a pseudo-terminal", "kerbstone sim sdm630 --on pty --address 1"),
        Example("which faults a sensor can show", "kerbstone sim sen55 --faults"),
    ),
    "rig": (
        Example("what is wrong with a scenario", "kerbstone rig check incident.toml"),
        Example("what can break in it", "kerbstone rig faults loop"),
        Example("for an editor", "kerbstone rig schema > scenario.json"),
        Example("try this version of kerbstone by it", "kerbstone rig run incident.toml --out run"),
        Example(
            "try a box of another maker",
            "kerbstone rig run incident.toml --box 'labbox {site} {broker}' --adapter lab.toml",
        ),
        Example(
            "what a run came to: a page for people, and a file for Jenkins or GitLab",
            "kerbstone rig report run.json --html run.html --junit run.xml",
        ),
    ),
    "sample": (
        Example("which drivers there are", "kerbstone sample"),
        Example("the tables of one, with its options", "kerbstone sample sdm630"),
        Example(
            "a whole site file for some devices and a lane",
            "kerbstone sample --site sen66 sdm630 loop > site.toml",
        ),
        Example("a whole site file to begin with", "kerbstone sample cabinet > site.toml"),
    ),
    "subscribe": (
        Example("what the gateways send", f"kerbstone subscribe --broker {BROKER}"),
        Example(
            "whether it is complete, over ten minutes",
            f"kerbstone subscribe --broker {BROKER} --check --for 600",
        ),
        Example(
            "is a gateway silent? Exit code 1 then",
            f"kerbstone subscribe --broker {BROKER} --expect gw-0001 --for 150",
        ),
        Example(
            "one gateway, for a program",
            f"kerbstone subscribe --broker {BROKER} --filter 'kerbstone/v1/+/gw-0001/#' --json",
        ),
    ),
    "status": (
        Example("is this box well?", "kerbstone status"),
        Example("for a program", "kerbstone status --json | jq .ok"),
    ),
    "backup": (
        Example("for a swap, after `systemctl stop kerbstone`",
                "sudo kerbstone backup --last /media/stick/gw-17.kerbstone"),
        Example("a copy of a gateway that runs", "sudo kerbstone backup gw-17.kerbstone"),
        Example("of a dead box, whose card is mounted",
                "sudo kerbstone backup --root /mnt/card gw-17.kerbstone"),
    ),
    "restore": (
        Example("is the file whole?", "kerbstone restore --check gw-17.kerbstone"),
        Example("on the new box", "sudo kerbstone restore /media/stick/gw-17.kerbstone"),
    ),
    "receipts": (
        Example(
            "the city's store", f"kerbstone receipts --broker {BROKER} --store /srv/city/records.db"
        ),
    ),
    "sink": (
        Example(
            "the tables, once and after each upgrade",
            "kerbstone sink --migrate --database postgresql://owner@db.example/city",
        ),
        Example(
            "a sink; start as many as you want",
            "kerbstone sink --broker amqps://broker1.example --broker amqps://broker2.example --ca "
            "ca.crt --cert platform-sink.crt --key platform-sink.key --database postgresql://sink1@db.example/city",
        ),
    ),
    "archive": (
        Example(
            "each night: pack what is older than a month, keep two years",
            "kerbstone archive --database postgresql://archiver@db.example/city --older-than 30 "
            "--keep 730",
        ),
        Example(
            "what would it do?",
            "kerbstone archive --database postgresql://archiver@db.example/city --older-than 30 "
            "--dry-run",
        ),
    ),
    "export": (
        Example(
            "all lanes of a day, for pandas, DuckDB or Polars",
            "kerbstone export --database postgresql://analyst@db.example/city --day 2026-11-26 "
            "--to lanes.parquet",
        ),
        Example(
            "another view, and what there is",
            "kerbstone export --database postgresql://analyst@db.example/city --day 2026-11-26 "
            "--view air_minute --to air.parquet",
        ),
    ),
    "audit": (
        Example("is it complete?", "kerbstone audit --store /srv/city/records.db"),
        Example(
            "one day of one gateway, and ask it for what is missing",
            "kerbstone audit --store records.db --gateway gw-0001 --day 2026-11-26 --ask "
            f"--broker {BROKER}",
        ),
    ),
    "fleet": (
        Example(
            "1,000 gateways as in a city, for ten minutes",
            "kerbstone fleet --broker mqtt://localhost:1883 --gateways 1000 --for 600",
        ),
        Example(
            "all of them come back after an outage of 20 minutes",
            "kerbstone fleet --broker mqtt://localhost:1883 --gateways 1000 --backlog 20 "
            "--records 200000",
        ),
        Example(
            "a constant rate; the broker's answer is enough",
            "kerbstone fleet --broker mqtt://localhost:1883 --gateways 500 --rate 2000 "
            "--for 60 --confirm broker",
        ),
        Example(
            "with a certificate for each gateway, and a ledger to compare a store with",
            f"kerbstone fleet --broker {BROKER} --cert 'certs/{{gw}}.crt' "
            "--key 'certs/{gw}.key' --gateways 100 --records 10000 --ledger sent.jsonl",
        ),
    ),
    "conform": (
        Example(
            "a gateway on a bench",
            "kerbstone conform --broker mqtt://localhost:1883 --product gateway.toml",
        ),
        Example(
            "with a restart, and a page to publish",
            "kerbstone conform --broker mqtt://localhost:1883 --product gateway.toml "
            "--restart-command 'ssh box sudo systemctl restart kerbstone' --report result.html",
        ),
    ),
    "outbox": (
        Example("what waits, and what was lost", "kerbstone outbox"),
        Example(
            "the records of a broken box's card",
            "kerbstone outbox rescue /mnt/card/outbox.db --out records.jsonl",
        ),
    ),
    "provision": (
        Example("an authority, once", "kerbstone provision ca --host enrol.example"),
        Example(
            "a claim on a card",
            "kerbstone provision new --site stadtmitte --role main --gateway gw-0001 --enrol "
            "https://enrol.example:8443 --broker mqtts://broker.example:8883 --ca ca.pem "
            "--key operator.key --out /media/boot",
        ),
        Example("who waits, and yes", "kerbstone provision pending"),
        Example("", "kerbstone provision approve gw-0001 --code ABCD-EFGH"),
        Example("what a box proposes, before it is signed", "kerbstone provision proposal gw-0001"),
    ),
    "support": (
        Example("everything, in one file here", "sudo kerbstone support"),
        Example("without the log", "kerbstone support --without log.txt"),
        Example(
            "to the desk", "ssh technician@box kerbstone support --out - > box.tar.gz"
        ),
    ),
    "models": (
        Example("which there are, and how they do", "kerbstone models"),
        Example("a bundle that somebody sent", "kerbstone models check candidate/"),
        Example(
            "two versions over a day",
            "kerbstone models compare models/loopfault candidate/ --edges day.csv "
            "--config site.toml",
        ),
    ),
}  # fmt: skip


def help_text(examples: tuple[Example, ...], width: int = WIDTH) -> str:
    """As it stands at the end of a help; a long command goes on in lines as a shell takes them."""
    lines = ["examples:"]
    for example in examples:
        lines += [f"  # {example.purpose}"] if example.purpose else []
        rows = wrap(example.command, width, break_long_words=False, break_on_hyphens=False)
        lines.append("  " + " \\\n      ".join(rows))
    return "\n".join(lines)

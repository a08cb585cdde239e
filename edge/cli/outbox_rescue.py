"""`kerbstone outbox rescue FILE`: send or export the records that a file of an outbox still holds.

FILE is the database of an outbox (put aside, damaged, truncated, on a read-only card, or of another
version), the log of an outbox in memory (commit.log), or a stage. FILE is read and never changed.
Without --out the records go to the broker of --config under their own keys, if they are this
gateway's. With --out they are written in the format of `kerbstone receipts`, which `kerbstone
audit` reads. Exit codes: 0 all done, 1 something was damaged, refused or not confirmed, 2 wrong
use, 3 the file, the broker or the store cannot be reached.
"""

import argparse
import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from edge.acquire.clock import SystemClock
from edge.cli.site_options import load_site_or_report
from edge.config import Site
from edge.core import ConfigError
from edge.diagnose.rescuesource import (
    ExportCounts,
    RecordDates,
    RescueSource,
    certificate_mismatch,
    export_records,
    is_stage,
    open_rescue_source,
    stage_entries,
)
from edge.durable.sqlitefile import in_use
from edge.gateway.uplinksetup import make_brokers
from edge.outbox.rowformat import DamagedRowError
from edge.platform.openstore import open_store
from edge.platform.recordstore import RecordStoreError
from edge.terminal import echo, echo_json, progress
from edge.uplink.mqtt import BrokerRefusedError
from edge.uplink.rescuesender import RescueResult, RescueSender
from edge.wire import Topics, WireError

PREFIX: Final = "kerbstone/v1"
UNKNOWN_OWNER: Final = "unknown/unknown"  # site and gateway of an export that nobody has named
LOG: Final = "-wal"  # behind the name of its database
EXPORT_HINT: Final = "export them with --out NAME.jsonl instead"


class WrongUseError(Exception):
    """What cannot be done, and what can."""


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "rescue", help="send, or export, what a file of an outbox still holds",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="outbox.db, or one in quarantine")
    add("--out", type=Path, metavar="NAME.jsonl", help="write them there instead of sending them")
    add("--owner", metavar="SITE/GATEWAY", help="owner of the records, if FILE does not name it")
    # both also before the word `rescue`: the outer parser has the defaults
    add("--config", type=Path, default=argparse.SUPPRESS, metavar="SITE",
        help="site file, whose broker gets them (default: that of this gateway)")  # fmt: skip
    add("--json", action="store_true", default=argparse.SUPPRESS, help="for programs")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.file.name.endswith(LOG):  # it is read with its database, or without one
        args.file = args.file.with_name(args.file.name.removesuffix(LOG))
    try:
        if not (args.file.is_file() or Path(f"{args.file}{LOG}").is_file()):
            return _fail(f"{args.file}: there is no such file", 3)
        if args.out is not None and args.out.exists():
            raise WrongUseError(f"{args.out} is there already: choose another name")
        if is_stage(args.file):
            return _stage(args)
        if args.file.is_file() and in_use(args.file):
            return _fail(f"{args.file} is in use: stop the daemon that has it open first", 3)
        with contextlib.closing(open_rescue_source(args.file, _progress)) as found:
            return _records(args, found)
    except (WrongUseError, ConfigError) as error:
        return _fail(str(error), 2)
    except (OSError, RecordStoreError, DamagedRowError) as error:
        return _fail(str(error), 3)


def _stage(args: argparse.Namespace) -> int:
    if args.out is None:
        raise WrongUseError(
            f"{args.file} is a stage: it holds readings of a window, and no records yet, so "
            f"there is nothing to send; {EXPORT_HINT}"
        )
    count, trouble = 0, None
    with args.out.open("x", encoding="utf-8") as file:
        try:
            for entry in stage_entries(args.file):
                file.write(entry + "\n")
                count += 1
        except DamagedRowError as error:
            trouble = str(error)
    lines = [f"{count} entries of a stage written to {args.out}"]
    if trouble:
        lines.append(f"the stage is damaged, or the daemon was writing to it: {trouble}")
    _print_result(args, {"entries": count, "trouble": trouble}, lines)
    return 1 if trouble else 0


def _records(args: argparse.Namespace, source: RescueSource) -> int:
    owner = _owner(args, source)
    site_id, _, gw = owner.rpartition("/")
    dates = RecordDates(source)
    if args.out is not None:
        with contextlib.closing(open_store(args.out, write=True)) as store:
            topics = Topics(PREFIX, site_id, gw)
            wall_ns = SystemClock().now().wall_ns
            exported = export_records(
                dates.dated(), topics, gw, store, wall_ns,
                lambda done: _progress("writing", done.written),
            )  # fmt: skip
        return _verdict(args, source, owner, exported=exported)
    site = _matching_site(args, owner)
    topics = Topics(site.uplink.prefix, site_id, gw)
    receipt_s = site.uplink.receipt_s if site.uplink.confirm == "platform" else None
    rescue = RescueSender(topics, gw, site.uplink.encoding, receipt_s, _confirmed)
    why = asyncio.run(_sent(site, rescue, dates))
    dates.count_rest()  # what it holds is listed, though nobody takes it
    code = _verdict(args, source, owner, sent=rescue.done)
    if why:
        return _fail(f"{why}. Nothing has changed in {args.file}: run the command again", 3)
    return code


async def _sent(site: Site, rescue: RescueSender, dates: RecordDates) -> str | None:
    """Why it could not go on; None: it came to its end. The brokers in their order."""
    why = "there is no broker"
    for broker in make_brokers(site):
        beside = replace(broker, client_id=f"{broker.client_id}-rescue")
        try:
            await rescue.run(beside, dates.dated())
        except (OSError, BrokerRefusedError) as error:
            why = f"{broker}: {error}"
            if rescue.done.sent:
                return why
        else:
            return None
    return why


def _owner(args: argparse.Namespace, source: RescueSource) -> str:
    """Site and gateway whose records these are. Raises WrongUseError."""
    named: str | None = args.owner
    if named is not None:
        site_id, _, gw = named.partition("/")
        try:
            Topics(PREFIX, site_id, gw)
        except WireError as error:
            raise WrongUseError(f"--owner {named}: write SITE/GATEWAY; {error}") from None
        if source.owner and source.owner != named:
            raise WrongUseError(f"{args.file} holds records of {source.owner}, not of {named}")
        return named
    if source.owner:
        try:
            Topics(PREFIX, *source.owner.split("/", 1))
        except (WireError, TypeError):
            raise WrongUseError(f"{args.file} names an impossible owner: use --owner") from None
        return source.owner
    if args.out is not None:
        return UNKNOWN_OWNER
    raise WrongUseError(
        f"{args.file} does not say whose records it holds. Nothing is sent under a guessed name: "
        f"use --owner SITE/GATEWAY if you know the owner, or {EXPORT_HINT}"
    )


def _matching_site(args: argparse.Namespace, owner: str) -> Site:
    """The configuration of the gateway whose records these are. Raises WrongUseError."""
    site = load_site_or_report(args.config)
    if site is None:
        raise WrongUseError(
            f"{args.config} cannot be used: name another with --config, or {EXPORT_HINT}"
        )
    mine = f"{site.place.id}/{site.place.gateway}"
    if mine != owner:
        raise WrongUseError(
            f"{args.file} holds records of {owner}, and {args.config} is of {mine}: records of one "
            f"gateway are never sent under the name of another. Run it with the configuration and "
            f"the certificate of {owner}, or {EXPORT_HINT}"
        )
    if wrong := certificate_mismatch(site):
        raise WrongUseError(
            f"{wrong}, so the broker would refuse the records; correct it, or {EXPORT_HINT}"
        )
    return site


def _verdict(
    args: argparse.Namespace, source: RescueSource, owner: str, *,
    exported: ExportCounts | None = None, sent: RescueResult | None = None,
) -> int:  # fmt: skip
    whole = source.read + source.found
    missing = max(0, (source.expected or 0) - whole - source.damaged)
    counts: dict[str, object] = {
        "owner": owner, "version": source.version, "read": source.read,
        "found_on_pages": source.found, "damaged": source.damaged, "missing": missing,
        "dead_letters": source.dead_letters, "trouble": source.trouble,
    }  # fmt: skip
    lines = [f"{args.file}: records of {owner}", *_found_lines(source, missing)]
    finding = bool(source.damaged or missing or source.trouble)
    if exported is not None:
        counts |= {"written": exported.written, "conflicts": exported.conflicts}
        lines.append(f"{exported.written} records written to {args.out}")
        lines += [f"{n} {what}" for n, what in (
            (exported.conflicts, "exist with two different contents: both are kept"),
            (exported.unwritable, "cannot be written as a message"),
        ) if n]  # fmt: skip
        finding = finding or bool(exported.conflicts or exported.unwritable)
    if sent is not None:
        refused = dict(sent.refused)
        counts |= {"sent": sent.sent, "confirmed": sent.confirmed, "refused": refused,
                   "unconfirmed": sent.unconfirmed}  # fmt: skip
        lines.append(f"{sent.sent} records sent, {sent.confirmed} confirmed")
        lines += [f"{n} not taken: {why}" for why, n in refused.items()]
        if sent.unconfirmed:
            lines.append(
                f"{sent.unconfirmed} not confirmed: run the command again; no record is stored "
                "twice"
            )
        finding = finding or bool(refused) or sent.confirmed < whole
    _print_result(args, counts, lines)
    return 1 if finding else 0


def _found_lines(source: RescueSource, missing: int) -> Iterator[str]:
    yield f"{source.read} records read"
    if source.trouble:
        yield f"it is damaged: {source.trouble}"
    if source.found:
        text = "more records found page by page; some of them may have arrived before"
        yield f"{source.found} {text}"
    if source.damaged:
        yield f"{source.damaged} records are damaged, and cannot be read"
    if missing:
        yield f"{missing} more records should be in the file, and cannot be found"
    if source.dead_letters:
        count = source.dead_letters
        yield (
            f"{count} dead letters stay in the file: the broker refused them, and they are already "
            "declared lost"
        )


def _print_result(args: argparse.Namespace, counts: dict[str, object], lines: list[str]) -> None:
    progress("")
    if args.json:
        echo_json(counts)
    else:
        echo(*lines)


def _progress(what: str, count: int) -> None:
    progress(f"{what}: {count:,} records")


def _confirmed(done: RescueResult) -> None:
    _progress(f"sending, {done.confirmed:,} confirmed", done.sent)


def _fail(text: str, code: int) -> int:
    echo(f"kerbstone outbox rescue: {text}", err=True)
    return code

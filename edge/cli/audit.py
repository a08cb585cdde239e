"""`kerbstone audit`: prove that a store has each numbered record of the gateways once, unchanged.

It reads the store of `kerbstone receipts` or of `kerbstone sink`, also while they write it. For
each gateway and UTC day it prints the counts and the number of findings; then each finding. Exit
codes: 0 complete, 1 findings, 2 wrong use, 3 the store or the broker cannot be reached.
"""

import argparse
import asyncio
import contextlib
import re
import secrets
from pathlib import Path
from typing import Any, Final

from edge.cli.subscribe import broker_options, source_from
from edge.core import ConfigError
from edge.core.numbers import count_in_ranges
from edge.core.printable import quote_name
from edge.platform.audit import GatewayAudit, audit_store
from edge.platform.auditreport import AuditFinding
from edge.platform.days import UNKNOWN, DayCounts
from edge.platform.numberaudit import audit_numbers
from edge.platform.openstore import open_store, store_place
from edge.platform.recordstore import RecordStore, RecordStoreError
from edge.platform.resendrequest import ResendResult, request_resend
from edge.platform.signatures import CertificateKeys, MissingLibraryError
from edge.platform.sitecheck import AllowedSites, refused_findings
from edge.platform.subscription import BrokerSource, UnreachableError
from edge.terminal import echo, echo_json, progress

DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "audit", help="prove that a store of records is complete",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--store", type=store_place, required=True, metavar="STORE",
        help="the store of `receipts` or of `sink`: a file, or postgresql://...")  # fmt: skip
    add("--gateway", metavar="GW", help="only this gateway")
    add("--day", metavar="DAY",
        help="only this UTC day (2026-11-26), and records whose day is not known")  # fmt: skip
    add("--json", action="store_true", help="one object per line: days, notes, findings, result")
    add(
        "--keys",
        type=Path,
        metavar="FOLDER",
        help="certificates of the gateways, to check signatures",
    )
    add("--keys-ca", type=Path, metavar="FILE",
        help="certificate of the CA that must have issued all certificates in --keys")  # fmt: skip
    add("--sites", type=Path, metavar="PLACE", help="which gateway belongs to which site, as for "
        "`receipts`")  # fmt: skip
    add("--unsigned-ok", action="append", default=[], metavar="GW",
        help="allow unsigned manifests of GW, whose key is in a TPM; may be repeated")  # fmt: skip
    add("--numbers", action="store_true", help="only whether numbers are missing, from the store's "
        "ledger: quick, and proves no content")  # fmt: skip
    add("--contents", action="store_true", help="read all records again, also those that were "
        "proved when they came: finds what was changed in the store since, and takes its time"
        )  # fmt: skip
    add("--ask", action="store_true", help="ask the gateways for missing records (needs --broker)")
    add("--wait", dest="wait_s", type=float, default=15.0, metavar="SECONDS",
        help="how long to wait for each answer (default 15)")  # fmt: skip
    broker_options(parser, required=False)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.ask and not args.broker:
        return _fail("--ask needs --broker: the gateways are asked through the broker", 2)
    if args.numbers and (
        word := next(filter(vars(args).get, ("day", "keys", "sites", "contents")), None)
    ):
        return _fail(f"--numbers and --{word} do not go together: it looks at numbers alone", 2)
    if args.day is not None and not DAY.fullmatch(args.day):
        return _fail(f"{args.day} is not a date; write it as 2026-11-26", 2)
    try:
        source = source_from(args, f"kerbstone-audit-{secrets.token_hex(4)}") if args.ask else None
        keys = _keys(args)
        sites = AllowedSites(args.sites) if args.sites is not None else None
        store = open_store(args.store, write=False)
    except ConfigError as error:
        return _fail(str(error), 2)
    except RecordStoreError as error:
        return _fail(str(error), 3)
    printer = _Printer(args)
    with contextlib.closing(store):
        try:
            return _audit(args, store, keys, sites, source, printer)
        except RecordStoreError as error:
            return _fail(str(error), 3)
        except UnreachableError as error:
            return _fail(f"{args.broker} cannot be reached: {error}", 3)


def _audit(
    args: argparse.Namespace, store: RecordStore, keys: CertificateKeys | None,
    sites: AllowedSites | None,
    source: BrokerSource | None, printer: "_Printer",
) -> int:  # fmt: skip
    if args.numbers:
        audits = audit_numbers(store, gateway=args.gateway)
    else:
        audits = audit_store(
            store, gateway=args.gateway, keys=keys, prefix=args.prefix, sites=sites,
            contents=args.contents, day=args.day, progress=printer.progress,
        )  # fmt: skip
    for done in audits:
        printer.gateway(done)
        if source is not None and done.missing:
            printer.asked(
                done, asyncio.run(request_resend(source, done.branch, done.missing, args.wait_s))
            )
    for gw, finding in () if args.numbers else refused_findings(store, args.gateway):
        printer.finding(gw, finding)
    if not printer.gateways:
        text = f"{args.store}: it has no records of {args.gateway or 'any gateway'}"
        printer.finding(args.gateway, AuditFinding("nothing", text))
    if store.damage.lines:
        text = f"{store.damage.lines} lines or rows of the store cannot be read"
        printer.finding(None, AuditFinding("damage", text))
    if aside := sum(tally.total for _, kind, tally in store.tallies() if kind == "undecodable"):
        printer.note(f"{aside} messages could not be read when they arrived")
    return printer.verdict()


def _keys(args: argparse.Namespace) -> CertificateKeys | None:
    if args.keys is None:
        if args.keys_ca is not None or args.unsigned_ok:
            word = "--keys-ca" if args.keys_ca is not None else "--unsigned-ok"
            raise ConfigError(f"{word} needs --keys: the folder with the certificates")
        return None
    try:
        return CertificateKeys(args.keys, args.keys_ca, args.unsigned_ok)
    except MissingLibraryError as error:
        raise ConfigError(f"{error}: `pip install cryptography`") from None


class _Printer:
    """Lines for people, or objects for programs."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._json, self._day, self._numbers = args.json, args.day, args.numbers
        self._findings = self._records = self._unsealed = self.gateways = 0
        self._of_day = False  # whether there is anything of the day that was asked for

    def progress(self, records: int) -> None:
        progress(f"{records} records")

    def gateway(self, audit: GatewayAudit) -> None:
        progress("")
        self.gateways += 1
        self._records += audit.records
        self._unsealed += audit.unsealed
        if self._numbers:
            self._of_numbers(audit)
        for date, day in () if self._numbers else sorted(audit.days.days.items()):
            if self._shown(date):
                self._of_day |= date == self._day
                self._findings += day.findings
                self._put(_fields(audit.gw, date, day), _line(audit.gw, date, day))
        for note in audit.notes:
            self.note(note)
        for date, finding in audit.findings:
            if self._shown(date):
                self._report_finding(audit.gw, date, finding)
        if audit.hidden:
            self.note(f"{audit.gw}: {audit.hidden} more findings are counted but not shown")

    def _of_numbers(self, audit: GatewayAudit) -> None:
        found = len(audit.findings) + audit.hidden
        self._findings += found
        fields = {"gw": audit.gw, "numbers": audit.records, "findings": found}
        state = f"{found} findings" if found else "none is missing"
        self._put(fields, f"{quote_name(audit.gw)}: {audit.records} numbers: {state}")

    def finding(self, gw: str | None, finding: AuditFinding) -> None:
        """One that is in no gateway's days."""
        self._findings += 1
        self._report_finding(gw, UNKNOWN, finding)

    def asked(self, audit: GatewayAudit, answer: ResendResult) -> None:
        wanted = sum(count_in_ranges(ranges) for ranges in audit.missing.values())
        text = f"{quote_name(audit.gw)} was asked for {wanted} numbers: it resends"
        text += f" {answer.resent} rows and no longer has {answer.gone} numbers"
        if answer.left:
            text += f"; {answer.left} numbers were not looked for yet: run the command again"
        if answer.error:
            text = f"{quote_name(audit.gw)}, {wanted} missing numbers: {answer.error}"
            if answer.resent or answer.gone:
                text += f"; before, it resent {answer.resent} rows, and {answer.gone} were gone"
            if answer.left:
                text += f"; {answer.left} numbers were not looked for: run the command again"
        fields: dict[str, object] = {
            "asked": audit.gw, "numbers": wanted, "resent": answer.resent, "gone": answer.gone,
            "left": answer.left, "error": answer.error,
        }  # fmt: skip
        self._put(fields, text)

    def note(self, text: str) -> None:
        self._put({"note": text}, f"note: {text}")

    def verdict(self) -> int:
        """The last line; the exit code."""
        if self._day is not None and not self._of_day:
            self.note(f"nothing in the store is of {self._day}")
        state = "complete" if not self._findings else f"{self._findings} findings"
        if self._unsealed and not self._findings:
            state += f" except for {self._unsealed} numbers that no manifest seals yet"
        what = "numbers" if self._numbers else "records"
        if self._numbers and not self._findings:
            state = "none is missing (contents were not looked at)"
        fields = {
            "audit": "clean" if not self._findings else "findings", "gateways": self.gateways,
            what: self._records, "unsealed": self._unsealed, "findings": self._findings,
        }  # fmt: skip
        self._put(fields, f"{self.gateways} gateways, {self._records} {what}: {state}")
        return 1 if self._findings else 0

    def _shown(self, date: str) -> bool:
        return self._day in (None, date) or date == UNKNOWN

    def _report_finding(self, gw: str | None, date: str, finding: AuditFinding) -> None:
        fields = {"finding": finding.kind, "gw": gw, "day": date, "text": finding.text}
        self._put(fields, f"{finding.kind}: {finding.text}")

    def _put(self, fields: dict[str, Any], text: str) -> None:
        if self._json:
            echo_json(fields)
        else:
            echo(text)


def _fields(gw: str, date: str, day: DayCounts) -> dict[str, object]:
    least = day.least()
    return {
        "gw": gw, "day": date, "records": day.records, "numbers": day.numbers,
        "covered_s": None if least is None else round(least[1], 3),
        "least": None if least is None else least[0],
        "gaps": day.gaps, "drops": day.drops, "proved": day.proved, "findings": day.findings,
    }  # fmt: skip


def _line(gw: str, date: str, day: DayCounts) -> str:
    least = day.least()
    covered = "" if least is None else f"{least[1]:.0f} s covered (least: {least[0]}), "
    state = "complete" if not day.findings else f"{day.findings} findings"
    return (
        f"{quote_name(gw)} {date}: {day.records} records, {day.numbers} numbers, "
        f"{covered}{day.gaps} gaps and {day.drops} drops declared, {day.proved} manifests proved: "
        f"{state}"
    )


def _fail(text: str, code: int) -> int:
    echo(f"kerbstone audit: {text}", err=True)
    return code

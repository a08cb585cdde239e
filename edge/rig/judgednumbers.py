"""Did each record come: no number missing, none with two contents, no time that nobody tells of.

Of a gateway that keeps Kerbstone's contract, this is the audit of the platform. Of another one it
is what its numbers show: holes between the first and the last of a stream, and two contents.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from edge.core.numbers import Numbers, count_in_ranges, format_numbers
from edge.platform.auditreport import AuditFinding
from edge.platform.completeness import judge_completeness
from edge.platform.receivedranges import ReceivedRanges
from edge.platform.receivedrecord import content_digest
from edge.rig.judgedevents import GAP
from edge.rig.judgedrun import JudgedRun, Row, seconds
from edge.rig.outcome import ROWS_LIMIT, Judgement, not_evaluated

TOLD: Final = 3  # findings in one sentence
FOREIGN: Final = "box"
ENVELOPE: Final = frozenset({"topic", "kind"})  # what a subscriber puts around a record
HEADER: Final[Mapping[str, type]] = {
    "gw": str, "epoch": int, "stream": str, "seq": int, "source": str, "boot": int, "mono": list,
}  # fmt: skip


def judge_complete(run: JudgedRun) -> Judgement:
    """Over the whole run."""
    rows = [row for row in run.arrived if row.heard.seq > 0]
    if not rows:
        return not_evaluated("The box numbers nothing: nobody can say whether each record came.")
    ours = [row for row in rows if _is_ours(row.heard.body)]
    findings = [*_conflicts(rows), *(_audit(rows) if len(ours) == len(rows) else _holes(rows))]
    if findings:
        more = f", and {len(findings) - TOLD} more" if len(findings) > TOLD else ""
        text = "; ".join(each.text for each in findings[:TOLD])
        near = [row for each in findings for row in _near(each, rows)]
        return Judgement(
            verdict="fail",
            text=f"{text}{more}.",
            moment_s=min((row.heard.t_s for row in near), default=None),
            rows=tuple(sorted({row.number for row in near}))[:ROWS_LIMIT],
        )
    waiting = next((s.queue for s in reversed(run.log.seen) if s.queue is not None), 0)
    if waiting:
        text = f"All numbers are there so far; but {waiting} records still waited in the box when "
        text += f"the run ended at {seconds(run.log.lasted_s)}."
        return not_evaluated(text, run.log.lasted_s)
    streams = sorted({row.heard.stream for row in rows})
    text = f"All numbers of {len(rows)} records are there ({', '.join(streams)})."
    return Judgement(verdict="pass", text=text, moment_s=rows[-1].heard.t_s)


def _is_ours(body: Mapping[str, Any]) -> bool:
    """Whether it has the header that the audit reads."""
    if not all(type(body.get(key)) is kind for key, kind in HEADER.items()):
        return False
    mono = body["mono"]
    return len(mono) == 2 and all(type(each) is int for each in mono) and mono[0] <= mono[1]


def _audit(rows: Sequence[Row]) -> Iterable[AuditFinding]:
    """Where the box's first start was heard, so must be all that followed it; else the rig came
    later, and numbers count from the first that it heard."""
    found: list[AuditFinding] = []
    gateways: dict[str, ReceivedRanges] = {}
    for row in rows:
        body = row.heard.body
        received = gateways.get(body["gw"])
        if received is None:
            born = any(_is_first_start(each.heard.body, body["gw"]) for each in rows)
            received = ReceivedRanges(body["gw"], -1 if born else body["epoch"])
            gateways[body["gw"]] = received
        if not received.add_number(body["epoch"], body["stream"], body["seq"], f"{row.number:012}"):
            continue
        found += received.add_record(body["source"], body)
        if body["stream"] == "manifest":
            seal = received.add_seal((body["gw"], body["epoch"], "manifest", body["seq"]), body)
            if isinstance(seal, AuditFinding):
                found.append(seal)
    for received in gateways.values():
        found += judge_completeness(received, [])[0]
    return found


def _is_first_start(body: Mapping[str, Any], gw: str) -> bool:
    """A gap event with the first number, that knows of no start before."""
    first = body["stream"] == "event" and body["seq"] == 1 and body.get("event") == GAP
    return first and body["gw"] == gw and "former" not in body and body.get("reason") == "start"


def _conflicts(rows: Iterable[Row]) -> Iterable[AuditFinding]:
    contents: dict[tuple[str, str, int], bytes] = {}
    for row in rows:
        heard = row.heard
        own = {key: value for key, value in heard.body.items() if key not in ENVELOPE}
        digest = content_digest(own)
        if contents.setdefault((heard.epoch, heard.stream, heard.seq), digest) != digest:
            text = f"{heard.epoch}/{heard.stream}/{heard.seq} came with two contents".lstrip("/")
            yield AuditFinding("conflict", text, (FOREIGN, row.number, heard.stream, heard.seq))


def _holes(rows: Iterable[Row]) -> Iterable[AuditFinding]:
    streams: dict[tuple[str, str], Numbers] = {}
    for row in rows:
        streams.setdefault((row.heard.epoch, row.heard.stream), Numbers()).add(row.heard.seq)
    for (epoch, stream), numbers in sorted(streams.items()):
        absent = list(numbers.missing(numbers.first, numbers.last))
        if absent:
            text = f"{epoch}/{stream}: {count_in_ranges(absent)} numbers are missing: "
            text += format_numbers(absent)
            yield AuditFinding("missing", text.lstrip("/"), (epoch, 0, stream, absent[0][0]))


def _near(finding: AuditFinding, rows: Sequence[Row]) -> Iterable[Row]:
    """The first record of that stream with this number or a later one."""
    if finding.place is None:
        return
    gw, epoch, stream, seq = finding.place
    for row in rows:
        heard = row.heard
        if finding.kind == "conflict" and gw == FOREIGN:
            same = row.number == epoch
        else:
            named = heard.body.get("epoch") == epoch or heard.epoch == gw
            same = named and heard.stream == stream and heard.seq >= seq
        if same:
            yield row
            return

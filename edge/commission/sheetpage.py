"""The acceptance sheet as a page for eyes and paper: one file, no script, nothing from outside."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from edge.commission.loopfields import LOOP_FIELDS
from edge.commission.sheetplot import drive_plot, range_bar

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
MARKS: Final = {"passed": "✓", "failed": "✗", "doubtful": "?", "unproven": "–"}
TITLES: Final = {
    "scan": "Search of the wires",
    "device": "Devices",
    "contact": "Contacts",
    "pulses": "Pulse outputs",
    "bay": "Bays",
    "signal": "Signal contacts",
    "lane": "Lanes, driven over",
    "loop": "Loops, measured at the feeder",
    "record": "Way to the city",
    "left_out": "Steps without room on this sheet",
}
STYLE: Final = """
:root{color-scheme:light}*{box-sizing:border-box}
body{margin:0 auto;max-width:900px;padding:20px;color:#1b1f24;background:#fff;
font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Noto Sans CJK SC",sans-serif}
h1{font-size:24px;margin:0}
h2{font-size:17px;margin:22px 0 6px;border-bottom:2px solid #1b1f24;break-after:avoid}
.state{font-size:17px;font-weight:600;margin:4px 0 12px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:0}dt{color:#57606a}
dd{margin:0;overflow-wrap:anywhere}.sha{font:11px/1.4 ui-monospace,monospace}
article{padding:7px 0;border-bottom:1px solid #dfe3e8;break-inside:avoid}
h3{font-size:14px;margin:0;display:flex;gap:8px;align-items:baseline}
.mark{flex:none;width:96px;font-weight:600;font-size:13px}.by{margin-left:auto;font-weight:400;
color:#57606a;font-size:12px}
.failed>h3 .mark{color:#9b1c31}.doubtful>h3 .mark{color:#8a4b00}.passed>h3 .mark{color:#14632f}
.unproven>h3 .mark{color:#444c56}article p{margin:2px 0 2px 104px}.do{font-style:italic}
.stale{font-weight:600}table{border-collapse:collapse;width:100%;font-size:13px}
td,th{text-align:left;padding:3px 8px 3px 0;border-bottom:1px solid #dfe3e8;font-weight:400}
th{color:#57606a}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.plot{display:block;width:100%;max-width:640px;margin:4px 0 2px 104px}
.plot text{font:12px system-ui,sans-serif;fill:#1b1f24}.plot .tick{text-anchor:middle;
fill:#57606a;font-size:11px}.plot .unit{text-anchor:end;fill:#57606a;font-size:11px}
.plot .on{text-anchor:middle}.plot .line{fill:none;stroke:#0a4f80;stroke-width:2.5}
.grid{fill:none;stroke:#c9d0d8}.points{margin:2px 0 4px 104px;width:auto;
min-width:440px;font-size:12px}
.points td,.points th{padding:1px 14px 1px 0;border:0}
.bar{width:120px;height:14px;vertical-align:middle}
.bar .mark{stroke:#0a4f80;stroke-width:3;fill:none}
.sign{display:grid;grid-template-columns:1fr 1fr;gap:40px;margin-top:44px;break-inside:avoid}
.sign div{border-top:1px solid #1b1f24;padding-top:4px;color:#57606a}
@media(max-width:600px){article p,.plot,.points{margin-left:0}.by{display:none}}
@page{size:A4;margin:14mm}@media print{body{max-width:none;padding:0;font-size:11px}
h1{font-size:19px}h2{font-size:14px}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""


def sheet_page(file: Mapping[str, Any]) -> str:
    """Of the whole file: the sheet, its digest, and the signature if it has one."""
    sheet, signature = file["sheet"], file.get("signature")
    title = f"Acceptance {sheet['gateway']} {sheet['number']}"
    parts = [
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<style>{STYLE}</style></head><body>",
        *_head(sheet),
    ]
    for kind, heading in TITLES.items():
        rows = [row for row in sheet["steps"] if row["kind"] == kind]
        if rows and kind == "loop":
            parts += _loops(heading, rows)
        elif rows:
            parts.append(f"<h2>{heading}</h2>")
            for row in rows:
                parts += _step(row)
    parts += _unmatched(sheet["unmatched"])
    parts += _foot(sheet, file["sha256"], signature)
    return "".join([*parts, "</body></html>\n"])


def _head(sheet: Mapping[str, Any]) -> Iterator[str]:
    place = sheet["site_name"] or sheet["site"]
    counts = sheet["counts"]
    told = ", ".join(f"{counts[word]} {word}" for word in MARKS)
    words = "Accepted" if sheet["state"] == "accepted" else "Accepted with reservations"
    yield f"<h1>Acceptance of {escape(place)}</h1>"
    yield f'<p class="state">{words}: {told}</p><dl>'
    rows = (
        ("Site", sheet["site"]), ("Gateway", sheet["gateway"]), ("Board", sheet["board"] or "-"),
        ("Program", f"Kerbstone {sheet['software']}"), ("Sheet", f"number {sheet['number']}"),
        ("Signed by", sheet["by"]), ("Signed at", _time(sheet)), ("Note", sheet["note"] or "-"),
    )  # fmt: skip
    for name, value in rows:
        yield f"<dt>{name}</dt><dd>{escape(str(value))}</dd>"
    yield f'<dt>Configuration</dt><dd class="sha">{sheet["configuration_sha256"]}</dd></dl>'


def _time(sheet: Mapping[str, Any]) -> str:
    if not sheet["at"]:
        return "not known: the clock of the box was not set"
    return f"{sheet['at']} (UTC; clock {sheet['tq']})"


def _step(row: Mapping[str, Any]) -> Iterator[str]:
    verdict = row["verdict"]
    yield f'<article class="{escape(verdict)}"><h3>{_mark(verdict)}<span>{_called(row)}</span>'
    yield f'<span class="by">{escape(_when(row))}</span></h3>'
    if row["stale"]:
        what = (
            "The device, or the box, was exchanged"
            if row["stale"] == "device"
            else "The site file changed"
        )
        yield f'<p class="stale">{what} since this was done: do it again.</p>'
    if not row["findings"]:
        yield "<p>Not done.</p>"
    for one in row["findings"]:
        yield f"<p>{escape(one['text'])}</p>"
        if one["remedy"]:
            yield f'<p class="do">{escape(one["remedy"])}</p>'
    for key, value in row["fields"].items():
        yield f"<p>{escape(key)}: {escape(str(value))}</p>"
    yield drive_plot(row["figures"])
    yield from _points(row["figures"].get("points", ()))
    yield "</article>"


def _points(points: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Values of a device: key, value, unit, usual low and high (or null)."""
    if not points:
        return
    yield '<table class="points"><tr><th>point<th class=n>value<th>unit<th>usual range</tr>'
    for key, value, unit, low, high in points:
        bar = ""
        if low is not None and high is not None:
            bar = f"{low:g} {range_bar(value, low, high)} {high:g}"
        yield f"<tr><td>{escape(str(key))}</td><td class=n>{escape(str(value))}</td>"
        yield f"<td>{escape(str(unit))}</td><td>{bar}</td></tr>"
    yield "</table>"


def _loops(heading: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"<h2>{heading}</h2><table><tr><th></th><th>loop</th>"
    for one in LOOP_FIELDS.values():
        yield f"<th class=n>{one.what}<br>{one.limit}</th>"
    yield "</tr>"
    for row in rows:
        yield f"<tr><td>{_mark(row['verdict'])}</td><td>{escape(row['subject'])}</td>"
        for key, one in LOOP_FIELDS.items():
            value = row["fields"].get(key)
            shown = "not filled in" if value is None else f"{value:g} {one.unit}"
            yield f"<td class=n>{escape(shown)}</td>"
        yield "</tr>"
    yield "</table>"
    for row in rows:
        if row["stale"]:
            yield f'<p class="stale">{escape(row["subject"])}: the site file changed since this '
            yield "was measured: measure it again.</p>"
        for one in row["findings"]:
            if one["kind"] == "loop_outside":
                yield f"<p>{escape(one['text'])} <i>{escape(one['remedy'])}</i></p>"


def _unmatched(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    yield "<h2>Answered, and in no configuration</h2><table>"
    for row in rows:
        yield f"<tr><td>{escape(row['place'])}</td><td>{escape(row['what'])}</td></tr>"
    yield "</table>"


def _foot(
    sheet: Mapping[str, Any], digest: str, signature: Mapping[str, Any] | None
) -> Iterator[str]:
    yield f'<h2>Proof</h2><dl><dt>SHA-256 of the sheet</dt><dd class="sha">{digest}</dd>'
    if signature is None:
        yield "<dt>Signature</dt><dd>This box has no key to sign with: the digest, which the city "
        yield "has by an event of the box, is all that proves this sheet.</dd></dl>"
    else:
        yield f"<dt>Signature</dt><dd class=sha>{escape(signature['alg'])} "
        yield f"{escape(signature['sig'])}</dd><dt>Certificate</dt>"
        yield f"<dd class=sha>SHA-256 {escape(signature['cert_sha256'])}</dd></dl>"
    yield f'<div class="sign"><div>{escape(sheet["by"])}</div><div>for the city</div></div>'


def _mark(verdict: str) -> str:
    return f'<span class="mark">{MARKS.get(verdict, "")} {escape(verdict)}</span>'


def _called(row: Mapping[str, Any]) -> str:
    name = f" ({row['name']})" if row["name"] else ""
    return escape(f"{row['subject'] or TITLES.get(row['kind'], row['kind'])}{name}")


def _when(row: Mapping[str, Any]) -> str:
    if row["at"] is None:
        return str(row["by"])
    return f"{row['by']}, {datetime.fromtimestamp(row['at'], UTC):%Y-%m-%d %H:%M} UTC"

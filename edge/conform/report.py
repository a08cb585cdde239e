"""The report of a run: for a terminal, as JSON, and as a page that can be published."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from edge.conform.check import Result
from edge.conform.evidence import Evidence
from edge.core.printable import printable
from edge.core.release import VERSION

WORDS: Final = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}
STYLE: Final = (
    "body{font:16px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{border:1px solid #999;padding:.3em .6em;text-align:left;"
    "vertical-align:top}.failed{background:#f8d7da}.passed{background:#d4edda}"
)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found of one product. `when` is the time of the run, ISO 8601 in UTC."""

    evidence: Evidence
    results: Sequence[Result]
    when: str

    @property
    def failed(self) -> bool:
        return any(result.verdict == "failed" for result in self.results)

    @property
    def title(self) -> str:
        product = self.evidence.product
        return f"{product.name} {product.version}"

    @property
    def summary(self) -> str:
        count = Counter(result.verdict for result in self.results)
        state = "does not conform" if count["failed"] else "no check failed"
        return (
            f"{state}: {count['passed']} passed, {count['failed']} failed, "
            f"{count['skipped']} skipped; {len(self.evidence.heard)} messages"
        )

    @property
    def about(self) -> str:
        product = self.evidence.product
        return (
            f"Contract version {product.contract}, {product.encoding}, MQTT {product.mqtt}, "
            f"{self.when}, kerbstone {VERSION}"
        )


def text_lines(report: Report) -> Iterator[str]:
    """For a terminal."""
    for result in report.results:
        yield f"{WORDS[result.verdict]:8} {result.check.id:22} {result.check.asks}"
        yield from (f"         {line}" for line in remarks(result))
    yield f"{report.title}: {report.summary}"


def remarks(result: Result) -> list[str]:
    """The faults, or why it was skipped."""
    if result.verdict == "skipped":
        return [result.reason]
    found = list(result.faults)
    return [*found, f"and {result.more} more"] if result.more else found


def as_data(report: Report) -> dict[str, Any]:
    """For programs."""
    product = report.evidence.product
    return {
        "product": product.name,
        "version": product.version,
        "contract": product.contract,
        "encoding": product.encoding,
        "when": report.when,
        "kerbstone": VERSION,
        "conforms": not report.failed,
        "messages": len(report.evidence.heard),
        "checks": [
            {
                "id": result.check.id,
                "verdict": result.verdict,
                "contract": result.check.contract,
                **({"reason": result.reason} if result.reason else {}),
                **({"faults": list(result.faults)} if result.faults else {}),
                **({"more": result.more} if result.more else {}),
            }
            for result in report.results
        ],
    }


def markdown(report: Report) -> str:
    """A page for a repository."""
    lines = [f"# {_cell(report.title)}", "", f"{_cell(report.summary)}.", "",
             f"{_cell(report.about)}.", "", "| check | verdict | what | remarks |",
             "|---|---|---|---|"]  # fmt: skip
    for result in report.results:
        said = "<br>".join(_cell(line) for line in remarks(result))
        check = result.check
        lines.append(f"| `{check.id}` | {result.verdict} | {_cell(check.asks)} | {said} |")
    return "\n".join(lines) + "\n"


def html(report: Report) -> str:
    """A page for a web server: one file, without scripts."""
    rows = "".join(
        f'<tr class="{result.verdict}"><td><code>{escape(result.check.id)}</code></td>'
        f"<td>{result.verdict}</td><td>{escape(result.check.asks)}</td>"
        f"<td>{'<br>'.join(escape(printable(line)) for line in remarks(result))}</td></tr>\n"
        for result in report.results
    )
    title = escape(report.title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        f"<p>{escape(report.summary)}.</p>\n<p>{escape(report.about)}.</p>\n"
        "<table><tr><th>check</th><th>verdict</th><th>what</th><th>remarks</th></tr>\n"
        f"{rows}</table></body></html>\n"
    )


def _cell(text: str) -> str:
    """A gateway's own words must not become marks of the page."""
    plain = escape(printable(text), quote=False).replace("\n", " ")
    return "".join(f"\\{each}" if each in "|`*_[]\\" else each for each in plain)

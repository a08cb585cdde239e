"""The table that the benchmarks print: ours, what it is measured against, and the ratio."""

from dataclasses import dataclass, field

HEAD = ("what", "ours", "against", "ratio", "how")


@dataclass(slots=True)
class Report:
    """Rows in the order in which they were measured."""

    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(
        self, what: str, ours: float, peer: float, unit: str, against: str, how: str = ""
    ) -> None:
        """One row. `against` names the peer or the limit; `unit` is that of both numbers."""
        ratio = f"{ours / peer:.2f}" if peer else "-"
        self.rows.append(
            (what, f"{number(ours)} {unit}", f"{number(peer)} {unit} ({against})", ratio, how)
        )

    def say(self, what: str, text: str) -> None:
        """A row without numbers: why something was not measured, or what limited it."""
        self.rows.append((what, text, "", "", ""))

    def text(self) -> str:
        """As a table for people."""
        rows = [HEAD, *self.rows]
        widths = [max(len(row[i]) for row in rows if row[2] or i == 0) for i in range(len(HEAD))]
        lines = []
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            lines.append("  ".join(cells).rstrip())
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def number(value: float) -> str:
    """Three digits that count; whole numbers whole."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"

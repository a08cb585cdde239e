"""`kerbstone read --all --watch`: what needs attention first, since a terminal shows only the first
rows. Open issues, what is bad, lanes and contacts; then the values of every device.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edge.core.humanize import count_text
from edge.report.live.answertext import device_head, device_rows, issue_texts
from edge.report.live.lanetext import contact_rows, lane_rows, rows_of
from edge.report.live.valuetext import reading_text

CUT: Final = "; `kerbstone live` scrolls"
"""Behind the number of rows that have no room."""


def watch_rows(answer: Mapping[str, Any]) -> Iterator[str]:
    issues = list(issue_texts(answer, ""))
    yield count_text(len(issues), "open issue")
    yield from (f"! {text}" for text in issues)
    yield ""
    bad = [*_bad_rows(answer)]
    if bad:
        yield from (*bad, "")
    for lane in rows_of(answer, "lanes"):
        yield from (*lane_rows(lane, answer), "")
    for contact in rows_of(answer, "contacts"):
        yield from contact_rows(contact, answer)
    for device in rows_of(answer, "devices"):
        yield from ("", *device_rows(device, answer))


def _bad_rows(answer: Mapping[str, Any]) -> Iterator[str]:
    """A device that fails in two rows, and values that are not good."""
    for device in rows_of(answer, "devices"):
        if device.get("state") != "ok":
            yield from [*device_rows({**device, "readings": []}, answer)]
            continue
        wrong = [one for one in rows_of(device, "readings") if one.get("quality") != "good"]
        if wrong:
            yield device_head(device, answer)
            yield from (f"  {reading_text(each)}" for each in wrong)

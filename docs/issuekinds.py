"""The page of all kinds of open issues, made from their table."""

from collections.abc import Mapping
from typing import Final

from edge.health.issuekinds import ISSUE_KINDS, IssueKind
from edge.uplink.connectfailure import REMEDIES, FailureClass

AREA_TEXTS: Final = {
    "outbox": "the outbox",
    "link": "the link to the broker",
    "identity": "our certificate",
    "configuration": "the configuration",
    "devices": "devices and lines",
    "events": "events of sensors",
    "alarms": "alarms that go to the city",
    "box": "the box itself",
    "daemon": "the daemon",
    "models": "the models",
}
HEAD: Final = """\
# Open issues

What needs a person is in one list on the box. `kerbstone status` shows it, and ends with exit
code 1 while it is not empty; `kerbstone doctor`, the log, the metrics (`kerbstone_open_issue`),
the status LED and the retained status on the broker (`issues`) have the same list. `make docs`
makes this page from the code; do not edit it.

The gateway looks at all of it every 5 s, at outbox and models every minute. An issue is opened when
it is found, and closed when it is not found any more; both are a line in the log. The list is kept
over restarts: what was open stays open until it can be told again whether it is so (a link has 15 s
to come up, a model must be loaded, for a certificate the time must be known). What a broker does to
this gateway is over when the very same thing succeeds: TLS with that broker, a record of that
stream that it takes, a subscriber for it, a receipt. A fallback is not tried while the first broker
stands: that it cannot be trusted is over 24 h after the last attempt. `no_receipts` opens when the
broker has taken records and no receipt has come for 5 times `receipt_s`, but 5 min at least, while
there was a link.
One failed read of a device opens nothing if the next is within 5 min. Issues that come and go make
20 statuses an hour at most. Of what happens and does not last, the issue stays for the time in the
last column, and its remedy says so. In the journal an issue that opens has the priority `warning`,
and one that closes `info`. `fault` means that data are lost, missing or wrong; `warning` that they
may be soon. The order is that of this page.

| kind | found in | severity | in a line | what to do | stays |
|---|---|---|---|---|---|
"""


LINK_HEAD: Final = """
## Why the broker is not reached

What to do about `no_broker` depends on how the last attempt failed:

| the attempt | what to do |
|---|---|
"""
FAILURE_TEXTS: Final[Mapping[FailureClass, str]] = {
    "name": "its host has no address",
    "network": "nothing answered",
    "port": "the connection was refused",
    "proxy": "the proxy was not reached, or refused it",
    "plain": "no TLS was spoken there",
    "authority": "the certificate is of an unknown authority",
    "host_name": "the certificate is for another name",
    "dates": "the certificate has ended",
    "not_yet": "the certificate is not valid yet",
    "certificate": "the certificate is not fit for its use",
    "tls": "no common version or cipher",
    "own_certificate": "our certificate was not taken",
    "login": "answer 134 or 140",
    "right": "answer 135 or 138",
    "client_id": "answer 133",
    "protocol": "answer 132",
    "busy": "answer 136, 137, 151 or 159",
    "refused": "another answer of the broker",
    "hung_up": "the broker hung up behind TLS",
    "dropped": "the broker hung up without TLS",
}


def issues_page() -> str:
    """The whole page."""
    kinds = "".join(_row(name, kind) for name, kind in ISSUE_KINDS.items())
    failures = "".join(f"| {FAILURE_TEXTS[one]} | {text} |\n" for one, text in REMEDIES.items())
    return HEAD + kinds + LINK_HEAD + failures


def _row(name: str, kind: IssueKind) -> str:
    stays = f"{kind.lasts_s / 3600:g} h" if kind.lasts_s else "-"
    short, remedy = (text.replace("{about}", "NAME") for text in (kind.short, kind.remedy))
    return (
        f"| `{name}` | {AREA_TEXTS[kind.area]} | {kind.severity} | {short} | {remedy} | {stays} |\n"
    )

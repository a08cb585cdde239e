"""A proposal: the site file that a technician at the box asks the operator to sign.

It has no force: a box runs what the operator's key has signed, and nothing else. Its text comes
from a user of the box, then from a box, and is shown to an operator, so `parse_proposal` takes only
what can be shown and edited as it is: lines of printable letters, for this box, within a limit.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edge.core import ConfigError
from edge.core.printable import printable
from edge.core.tomltext import TomlError, parse_toml

PROPOSAL_LIMIT: Final = 60 << 10  # bytes of the message; a site of 16 lanes and 30 devices has 10
PROPOSAL_NAME: Final = "proposal.json"
RENEW_HINT: Final = "send it again with `kerbstone propose`"

ProgramVersion = Annotated[str, Meta(pattern=r"\A[0-9A-Za-z.+~-]{1,32}\Z")]
ProposalId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z")]


class ProposalError(ConfigError):
    """This cannot be a proposal; the text says why."""


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What a box sends. `id` is new for each, so that one that is sent again is known.

    `version` is that of the program on the box: a desk may know drivers that the box does not.
    """

    v: Literal[1] = 1
    id: ProposalId
    text: Annotated[str, Meta(min_length=1)]
    version: ProgramVersion = "unknown"


class ProposalStanding(msgspec.Struct, frozen=True, kw_only=True):
    """The server's answer: what became of the newest proposal of a box.

    `serial` is the number of the configuration that the server has for it; 0 for none.
    """

    id: Annotated[str, Meta(pattern=r"\A([0-9a-f]{16})?\Z")] = ""  # "" for none
    state: Literal["none", "waiting", "refused", "signed"] = "none"
    reason: Annotated[str, Meta(max_length=1000)] = ""
    serial: Annotated[int, Meta(ge=0)] = 0


class ConfigReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a box says of a signed configuration that it has not taken: its program refuses it."""

    v: Literal[1] = 1
    serial: Annotated[int, Meta(ge=1)]
    error: Annotated[str, Meta(min_length=1, max_length=300)]
    version: ProgramVersion = "unknown"


def encode_proposal(proposal: Proposal) -> bytes:
    """The message. Raises ProposalError when it is none that `parse_proposal` takes."""
    data = msgspec.json.encode(proposal)
    parse_proposal(data)
    return data


def parse_proposal(data: bytes) -> Proposal:
    """The proposal in these bytes. Raises ProposalError."""
    if len(data) > PROPOSAL_LIMIT:
        raise ProposalError(
            f"a proposal has at most {PROPOSAL_LIMIT} bytes, and this has {len(data)}: leave the "
            "remarks away"
        )
    try:
        found = msgspec.json.decode(data, type=Proposal)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProposalError(f"no proposal of a site file: {error}") from None
    check_visible(found.text)
    return found


def check_visible(text: str) -> None:
    """That all of a site file can be seen by whoever reads it. Raises ProposalError."""
    for number, line in enumerate(text.split("\n"), 1):
        plain = line.replace("\t", " ")
        if printable(plain, len(plain)) != plain:
            raise ProposalError(
                f"line {number}: a letter that cannot be seen: {printable(line, 80)}"
            )


def parse_report(data: bytes) -> ConfigReport:
    """Raises ProposalError. Its text is shown to an operator, through edge.terminal."""
    try:
        return msgspec.json.decode(data[:PROPOSAL_LIMIT], type=ConfigReport)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProposalError(f"no report of a configuration: {error}") from None


def named_gateway(text: str) -> tuple[str, str]:
    """Site and gateway that a site file names; "" for what it does not name.

    Raises ProposalError when it is no TOML.
    """
    try:
        table = parse_toml(text).get("site")
    except TomlError as error:
        raise ProposalError(f"the site file is no TOML: {error}") from None
    found = table if isinstance(table, dict) else {}
    site, gateway = found.get("id", ""), found.get("gateway", "")
    return (site if isinstance(site, str) else "", gateway if isinstance(gateway, str) else "")

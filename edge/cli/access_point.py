"""`kerbstone access-point open | close | status`: a Wi-Fi of this box, for a phone at the door.

`open` opens it for an hour (`--minutes`), `close` ends it. Name and key are on the label inside the
door; who joins reaches the page of this box, and nothing else. After a restart it is closed.

Exit codes: 0 done, or `status` says that it is open; 1 it is closed, or did not open: the text says
why; 2 wrong use; 3 this user may not ask, or nobody takes the request.
"""

import argparse
from typing import Final

from edge.core.humanize import span_text
from edge.core.pageaddress import page_url
from edge.kernelclock import KernelClock, boottime_ns
from edge.link.accesspointfiles import (
    MINUTES,
    MOST_MINUTES,
    AccessPointRequest,
    AccessPointState,
    is_open,
    leave_request,
    read_state,
    spool_folder,
    state_folder,
)
from edge.terminal import echo, echo_json

ANSWER_S: Final = 90.0  # a slow radio, and a unit that is started
LOOK_S: Final = 0.25


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "access-point", help="open a Wi-Fi for a phone at the door, for an hour",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("action", choices=("open", "close", "status"))
    parser.add_argument(
        "--minutes", type=_minutes, default=MINUTES, metavar="N",
        help=f"how long it stays open, 1 to {MOST_MINUTES} (default {MINUTES})",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.action == "status":
        found = read_state(state_folder())
        return _show(args, found, _now_s(), want_open=True)
    before = read_state(state_folder())
    request = AccessPointRequest(action=args.action, minutes=args.minutes, by="command")
    try:
        leave_request(spool_folder(), request)
    except PermissionError:
        return _say("only members of the group kerbstone may ask for it, one at a time", 3)
    except OSError as error:
        return _say(f"{spool_folder()}: {error.strerror}: is this a box?", 3)
    return _await(args, 0 if before is None else before.number)


def _await(args: argparse.Namespace, taken: int) -> int:
    """Until the request has been carried out; never longer than ANSWER_S."""
    clock, began_s = KernelClock(), _now_s()
    while _now_s() - began_s < ANSWER_S:
        state = read_state(state_folder())
        if state is not None and state.number > taken:
            if args.action == "close" and not state.open:
                return _show(args, state, _now_s(), want_open=False)
            if args.action == "open" and (state.open or state.text != "being opened"):
                return _show(args, state, _now_s(), want_open=True)
        clock.wait_until(clock.now().mono_ns + int(LOOK_S * 1e9))
    text = "nobody has taken the request: `systemctl status kerbstone-access-point.path`"
    return _say(text, 3)


def _show(
    args: argparse.Namespace, state: AccessPointState | None, now_s: float, *, want_open: bool
) -> int:
    opened = is_open(state, now_s)
    left_s = round(state.until_s - now_s) if state is not None and opened else 0
    if args.json:
        echo_json(
            {
                "open": opened,
                "network": state.network if state is not None and opened else None,
                "interface": state.interface if state is not None and opened else None,
                "page": page_url() if opened else None,
                "left_s": left_s,
                "text": "" if state is None else state.text,
            }
        )
    elif state is not None and opened:
        echo(
            f"open for {span_text(left_s)}: Wi-Fi {state.network}, then {page_url()}",
            "the key is on the label inside the door, or: sudo kerbstone-enrol access",
        )
    else:
        why = "" if state is None else state.text
        echo(why if why.startswith("closed") else f"closed: {why}" if why else "closed")
    return 0 if opened == want_open else 1


def _minutes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"1 to {MOST_MINUTES} minutes")
    return int(text)


def _now_s() -> float:
    return boottime_ns() / 1e9


def _say(text: str, code: int) -> int:
    echo(f"kerbstone access-point: {text}", err=True)
    return code

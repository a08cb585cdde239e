"""A changed site file, left for root: the page itself may not write it.

`edge.identity.configspool` says how it gets there. The answer comes within seconds; until then it
is `waiting`, and `lost` is for the page to say, when it has waited for too long.
"""

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec

from edge.core import ConfigError
from edge.identity.configspool import ConfigRequest, config_spool, leave_request, read_answer
from edge.web.requests import RequestRefusedError

NOBODY_TEXT = "this page may not leave a site file here: is kerbstone-config.path installed?"


def leave_site_file(given: Mapping[str, Any]) -> str:
    """`text`, `base` and `confirm_s` of a body. Returns what the answer is asked by.

    Raises RequestRefusedError.
    """
    name = secrets.token_hex(8)
    words = {key: given[key] for key in ("text", "base", "confirm_s") if key in given}
    try:
        request = msgspec.convert({"id": name, **words}, ConfigRequest)
        leave_request(config_spool(), request)
    except (ConfigError, msgspec.ValidationError) as error:
        raise RequestRefusedError(400, "daemon_refused", str(error)) from None
    except OSError as error:
        raise RequestRefusedError(
            503, "daemon_closed", f"{NOBODY_TEXT} ({error.strerror})"
        ) from None
    return name


def site_file_answer(name: str) -> dict[str, Any]:
    """`state`: waiting, refused, replaced or taken; with `text`, `digest` and `errors`."""
    found = read_answer(config_spool())
    if found is None or found.id != name:
        return {"state": "waiting"}
    return dict(msgspec.to_builtins(found))

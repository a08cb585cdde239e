"""The site file as others may see it: without its remarks, and without a user who is a secret.

A remark says anything in any language: "the old one was ...". No list of words finds all of it.
"""

import re
from collections.abc import Mapping
from typing import Final

from edge.core.tomltext import parse_toml
from edge.diagnose.redaction import TOKEN

# a string on one line, where a # is a letter; or a remark
STRING_OR_REMARK: Final = re.compile(
    rb'"(?:[^"\\\r\n]|\\.)*"|\'[^\'\r\n]*\'|(?P<remark>[ \t]*#[^\r\n]*)'
)
ANY_REMARK: Final = re.compile(rb"[ \t]*#[^\r\n]*")


def without_remarks(text: bytes) -> bytes:
    """The lines stay where they are. Where the file is no TOML, strings are not trusted either."""
    try:
        parse_toml(text.decode())
    except ValueError:
        return ANY_REMARK.sub(b"", text)
    return STRING_OR_REMARK.sub(lambda found: b"" if found["remark"] else found[0], text)


def user_secrets(table: Mapping[str, object]) -> set[bytes]:
    """The user at the broker, where it is no name: an access token, alone or with a certificate."""
    uplink, site = table.get("uplink"), table.get("site")
    if not isinstance(uplink, Mapping) or not isinstance(user := uplink.get("username"), str):
        return set()
    own = {site.get("gateway"), site.get("id")} if isinstance(site, Mapping) else set()
    if user in own:
        return set()
    alone = not {"password_file", "cert"} & uplink.keys()
    mixed = len(user) >= TOKEN or (any(map(str.isdigit, user)) and any(map(str.isupper, user)))
    return {user.encode()} if alone or mixed else set()

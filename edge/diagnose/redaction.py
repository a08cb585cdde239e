"""Takes secrets out of text that leaves the box.

Two ways. What a text assigns to a name that means a secret is taken out where it stands. And each
value that was found so in a file of this box, or in a file that holds nothing else, is taken out of
everything, also as JSON, a URL or base64 would write it. Private keys are known by their armour.
"""

import base64
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import quote

REMOVED: Final = b"[removed]"
SHORTEST: Final = 4  # bytes of a value that is looked for everywhere; "1" would remove each 1
SECRET_WORDS: Final = "pass(?:word|wd|phrase)?|psk|secret|token|(?:private|api|wep)[-_]?key\\d*"
# of a claim, and of a network's profile: whoever has the code may enrol as this box
CLAIM_WORDS: Final = f"code|pin|{SECRET_WORDS}"
NO_SECRETS: Final = (b"null", b"true", b"false")
KEY_LINE: Final = 16  # characters of a line of a private key that is looked for by itself

PEM_KEY: Final = re.compile(
    rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.S
)
URL_USER: Final = re.compile(rb"(?<=://)[^/\s@\"'<>]+(?=@)")
AUTHORIZATION: Final = re.compile(rb"(?i)(\bauthorization\s*[:=]\s*)[^\r\n]+")
ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.S)
ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def assigned_secrets(text: bytes, words: str = SECRET_WORDS) -> set[bytes]:
    """The values that a file (TOML, JSON, ini) gives to names that mean a secret."""
    return {_plain(found["value"]) for found in _assignments(words).finditer(text)} - {b""}


def named_secrets(table: object, words: str = SECRET_WORDS) -> set[bytes]:
    """The same of a file that was read already: however its names were written there."""
    name = re.compile(rf"(?i)(?:.*[_-])?(?:{words})")
    if isinstance(table, Mapping):
        found = {
            str(value).encode("utf-8", "replace")
            for key, value in table.items()
            if name.fullmatch(str(key)) and isinstance(value, str | int)
        }
        return found.union(*(named_secrets(value, words) for value in table.values()))
    if isinstance(table, list):
        return set().union(*(named_secrets(each, words) for each in table))
    return set()


def key_secrets(text: bytes) -> set[bytes]:
    """The lines of private keys: one alone would be a part of it."""
    return {
        line
        for block in PEM_KEY.finditer(text)
        for line in block[0].split()
        if len(line) >= KEY_LINE and not line.startswith(b"-----")
    }


class Redactor:
    """Knows the secrets of this box. `removed` counts what it has taken out."""

    def __init__(self, secrets: Iterable[bytes] = ()) -> None:
        forms = {form for each in secrets if len(each) >= SHORTEST for form in _forms(each)}
        # the longest first: one may be a part of another
        ordered = sorted(forms, key=lambda each: (-len(each), each))
        self._known = re.compile(b"|".join(map(re.escape, ordered))) if ordered else None
        self.removed = 0

    def redact(self, text: bytes, words: str = SECRET_WORDS) -> bytes:
        """The same without what nobody else may know. Doing it twice changes nothing."""
        for what, by in (
            (PEM_KEY, lambda found: REMOVED),
            (AUTHORIZATION, lambda found: found[1] + REMOVED),
            (URL_USER, lambda found: REMOVED),
            (_assignments(words), lambda found: found["head"] + _emptied(found["value"])),
            (self._known, lambda found: REMOVED),
        ):
            text = text if what is None else self._replace(what, by, text)
        return text

    def _replace(
        self,
        what: "re.Pattern[bytes]",
        by: "Callable[[re.Match[bytes]], bytes]",
        text: bytes,
    ) -> bytes:
        def replace(found: "re.Match[bytes]") -> bytes:
            new = by(found)
            self.removed += new != found[0]
            return new

        return what.sub(replace, text)


def _assignments(words: str) -> "re.Pattern[bytes]":
    """`key = "value"` of TOML and ini files, `"key": "value"` of JSON. A name that goes on, as
    `password_file`, is none: what it names is a path."""
    return re.compile(
        (
            rf"(?P<head>(?<![\w-])[\"']?(?:[\w-]*[_-])?(?i:{words})[\"']?[ \t]*[=:]\s*)"
            r"(?P<value>\"\"\"[\s\S]*?(?:\"\"\"|\Z)|'''[\s\S]*?(?:'''|\Z)"
            r"|\"(?:\\.|[^\"\\\r\n])*\"?|'[^'\r\n]*'?"
            r"|(?:null|true|false|-?[\d.]+)(?=\s*[,}\]])|[^\s\[{][^\r\n]*)"
        ).encode()
    )


def _quotes(value: bytes) -> bytes:
    for each in (b'"""', b"'''", b'"', b"'"):
        if value.startswith(each):
            return each
    return b""


def _emptied(value: bytes) -> bytes:
    """So that the file can still be read as what it is."""
    mark = _quotes(value)
    return value if value in NO_SECRETS else mark + REMOVED + mark


def _plain(value: bytes) -> bytes:
    """What it says: without quotes, and with its escapes read."""
    mark = _quotes(value)
    inner = value.removeprefix(mark).removesuffix(mark)
    if not mark:
        return b"" if value in NO_SECRETS else value.strip()
    if mark.startswith(b"'"):
        return inner
    text = ESCAPE.sub(_unescaped, inner.decode("utf-8", "replace"))
    # JSON writes what is beyond 16 bits as two halves
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _unescaped(found: "re.Match[str]") -> str:
    number = int(found[1] or found[2] or "110000", 16)
    return chr(number) if number <= sys.maxunicode else ESCAPED.get(found[3], found[3] or found[0])


def _forms(secret: bytes) -> Iterator[bytes]:
    """How programs write it."""
    yield secret
    yield quote(secret).encode()
    yield secret.hex().encode()
    for shift in range(3):  # base64 depends on what stands before it; its ends depend on others
        coded = base64.b64encode(bytes(shift) + secret)
        whole = coded[4 * (shift > 0) : len(coded) - 4 * bool((shift + len(secret)) % 3)]
        if len(whole) >= KEY_LINE // 2:
            yield whole
    text = secret.decode("utf-8", "replace")
    for ascii_only in (True, False):
        yield json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode()
    yield repr(text)[1:-1].encode()

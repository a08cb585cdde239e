"""Takes secrets out of text that leaves the box.

Two ways. What a text assigns to a name that means a secret is taken out where it stands. And each
value that was found so in a file of this box, or in a file that holds nothing else, is taken out of
everything, also as JSON, a URL or base64 would write it. Private keys, tokens and logins in
URLs are known by their form.
"""

import base64
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

REMOVED: Final = b"[removed]"
SHORTEST: Final = 4  # bytes of a value that is looked for everywhere; "1" would remove each 1
SECRET_WORDS: Final = (
    "pass(?:word|wd|phrase)?|pwd|psk|secret|token"
    "|(?:private|api|wep|(?:shared[-_]?)?access)[-_]?(?:key\\d*|signature)"
)
LONG_WORDS: Final = (
    "password|passwd|passphrase|secret|token"  # whatever stands before: mqttPassword
)
# of a claim, and of a network's profile: whoever has the code may enrol as this box
CLAIM_WORDS: Final = f"code|pin|{SECRET_WORDS}"
NO_SECRETS: Final = (b"null", b"true", b"false")
KEY_LINE: Final = 16  # characters of a line of a private key that is looked for by itself

PEM_KEY: Final = re.compile(
    rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.S
)
# without its armour, or with one half of it: by how the bytes of a key begin, and by its end
BARE_KEY: Final = re.compile(
    rb"(?<![A-Za-z0-9+/])(?:MII[A-Za-z0-9+/]{3}IBA[AD]|MIG[A-Za-z0-9+/]AgE[AB][BM]"
    rb"|MC[A-Za-z0-9+/]CAQAw|MHcCAQEE)[A-Za-z0-9+/]+={0,2}"
    rb"(?:[ \t]*(?:\r?\n|\\n)[A-Za-z0-9+/]+={0,2}(?=[ \t]*(?:[\r\n\\\"']|\Z)))*"
    rb"|(?:^[A-Za-z0-9+/]{16,76}={0,2}\r?\n){1,60}(?=-----END [A-Z0-9 ]{0,20}PRIVATE KEY-----)",
    re.M,
)
JWT: Final = re.compile(rb"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
URL_USER: Final = re.compile(
    rb"(?<=://)[^\s\"'<>]{1,200}(?=@)|(?i:(?<=%3a%2f%2f)[^\s\"'<>&]{1,300}(?=%40))"
)
PROXY_USER: Final = re.compile(
    rb"(?i)(proxy[\"']?\s{0,9}[=:]\s{0,9}[\"']?)[^\s\"'@/:]{1,100}:[^\s\"'@/]{1,300}(?=@)"
)
HEADER: Final = re.compile(
    rb"(?i)(?P<head>(?<![\w-])(?:(?:proxy-)?authorization|(?:set-)?cookie)[\"']?\s*[:=]\s*)"
    rb"(?P<value>\"[^\"\r\n]*\"?|'[^'\r\n]*'?|[^\s\"'][^\r\n]*)"
)
BEARER: Final = re.compile(rb"(?i)(\bbearer[ \t]+)(?=\S*\d)[\w.~+/=-]{8,}")
OPTION: Final = re.compile(
    rf"((?<![\w-])--(?:[\w-]*-)?(?i:{SECRET_WORDS})[ \t]+)[^\s-]\S*".encode()
)
REMARK: Final = re.compile(
    rf"(#[^\r\n#]*?\b(?i:{LONG_WORDS}|psk)s?[ \t]+)(?![=: \t])[^\r\n]+".encode()
)
BASIC: Final = re.compile(rb"(?i)(\bbasic[ \t]+)([A-Za-z0-9+/_-]{6,}={0,2})")
# a name for people may hold one, in the words of its language: `Box 3, Passwort hunter2`
TOLD: Final = re.compile(
    r"(?i)(?:(?:passwor[dt]|passwd|passphrase|kennwort|losungswort|mot de passe|contrase(?:ñ|n)a"
    r"|palavra-passe|parola d'ordine|wachtwoord|adgangskode|lösenord|passord|salasana|hasło|haslo"
    r"|heslo|jelszó|geslo|lozinka|şifre|пароль|парола|κωδικός"
    r"|(?<!\w)(?:pwd|psk|pin|mdp|clave|senha|parola|secret|token))(?!\w)"
    r"|密码|密碼|口令|パスワード|비밀번호)\s*(?:[:=：]\s*|(?:is|ist|est|es|är)\s+)?([^:=：\s].*)"
)
TOKEN: Final = 16  # characters from which on a user without a password is a secret
ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.S)
ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def assigned_secrets(text: bytes, words: str = SECRET_WORDS) -> set[bytes]:
    """The values that a file (TOML, JSON, ini) gives to names that mean a secret."""
    found = {_plain(each["value"]) for each in _assignments(words).finditer(text)}
    # of `Environment="PASSWORD=x" "A=b"` the quotes stand elsewhere
    found |= {re.split(rb"[\"']", each)[0] for each in found}
    return (found | login_secrets(URL_USER.findall(text))) - {b""}


def login_secrets(logins: Iterable[bytes]) -> set[bytes]:
    """The passwords of `user:password`, as they stand in a URL and as they are meant."""
    found = set()
    for login in logins:
        user, colon, password = login.partition(b":")
        if colon or len(user) >= TOKEN:
            found |= {password or user, unquote_to_bytes(password or user)}
    return found


def named_secrets(table: object, words: str = SECRET_WORDS) -> set[bytes]:
    """The same of a file that was read already: however its names were written there."""
    if isinstance(table, str) and "://" in table:
        return login_secrets([table.encode().partition(b"://")[2].rpartition(b"@")[0]])
    name = re.compile(rf"(?i)(?:.*[_-])?(?:{words})|.*(?:{LONG_WORDS})")
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


def told_secrets(table: object) -> set[bytes]:
    """What stands behind a word for a secret in the texts of a file that was read."""
    match table:
        case str() if not table.startswith("/"):
            return {found[1].strip().encode()} if (found := TOLD.search(table)) else set()
        case Mapping():
            return set().union(*(told_secrets(each) for each in table.values()))
        case list():
            return set().union(*(told_secrets(each) for each in table))
    return set()


def key_secrets(text: bytes) -> set[bytes]:
    """The lines of private keys: one alone would be a part of it."""
    return set().union(
        *(key_lines(block[0]) for kind in (PEM_KEY, BARE_KEY) for block in kind.finditer(text))
    )


def key_lines(text: bytes) -> set[bytes]:
    """The same of a file that holds a key, and nothing else."""
    return {
        line for line in text.split() if len(line) >= KEY_LINE and not line.startswith(b"-----")
    }


class Redactor:
    """Knows the secrets of this box. `removed` counts what it has taken out."""

    def __init__(self, secrets: Iterable[bytes] = ()) -> None:
        long = [each for each in secrets if len(each) >= SHORTEST]
        forms = {(len(each), *form) for each in long for form in _spelled(each)}
        forms |= {
            (len(form), re.escape(form[:1]), re.escape(form[1:]))
            for each in long
            for form in _forms(each)
        }
        # by their first letter: `re` tries all others everywhere
        ends: dict[bytes, list[bytes]] = {}
        for _, first, end in sorted(forms, key=lambda each: (-each[0], *each[1:])):
            ends.setdefault(first, []).append(
                end
            )  # the longest first: one may be a part of another
        groups = [b"%s(?:%s)" % (first, b"|".join(each)) for first, each in ends.items()]
        self._known = re.compile(b"|".join(groups)) if groups else None
        self.removed = 0

    def redact(self, text: bytes, words: str = SECRET_WORDS) -> bytes:
        """The same without what nobody else may know. Doing it twice changes nothing."""
        for what, by in (
            (PEM_KEY, _nothing),
            (BARE_KEY, _nothing),
            (JWT, _nothing),
            (HEADER, _without_value),
            (BEARER, _without_rest),
            (BASIC, _without_login),
            (URL_USER, _nothing),
            (PROXY_USER, _without_rest),
            (OPTION, _without_rest),
            (_assignments(words), _without_value),
            (REMARK, _without_rest),
            (self._known, _nothing),
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


def _nothing(found: "re.Match[bytes]") -> bytes:
    return REMOVED


def _without_rest(found: "re.Match[bytes]") -> bytes:
    return found[1] + REMOVED


def _without_login(found: "re.Match[bytes]") -> bytes:
    """Basic is a word, too: what follows is a login when it says user, colon and password."""
    coded = found[2].rstrip(b"=")
    said = base64.urlsafe_b64decode(
        coded[: len(coded) - (len(coded) % 4 == 1)].translate(bytes.maketrans(b"+/", b"-_"))
        + b"=" * (-len(coded) % 4)
    )
    return found[1] + REMOVED if b":" in said else found[0]


def _without_value(found: "re.Match[bytes]") -> bytes:
    return found["head"] + _emptied(found["value"])


def _assignments(words: str) -> "re.Pattern[bytes]":
    """`key = "value"` of TOML and ini files, `"key": "value"` of JSON. A name that goes on, as
    `password_file`, is none: what it names is a path."""
    return re.compile(
        (
            rf"(?P<head>(?<![\w-])[\"']?(?:(?:[\w-]*[_-])?(?i:{words})|[\w-]*(?i:{LONG_WORDS}))"
            r"[\"']?[ \t]*[=:]\s*)"
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


def _spelled(secret: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Patterns for it as it is, and as URLs and logs write what is no letter or digit: how its
    first one is written, and all that follows."""
    first, *rest = ([re.escape(bytes([each])), *_escapes(each)] for each in secret)
    end = b"".join(one[0] if len(one) == 1 else b"(?:%s)" % b"|".join(one) for one in rest)
    yield from ((begin, end) for begin in first)


def _escapes(byte: int) -> list[bytes]:
    if chr(byte).isascii() and chr(byte).isalnum():
        return []
    digits = "".join(f"[{each}{each.upper()}]" for each in f"{byte:02x}")
    plus = [rb"\+"] if byte == ord(" ") else []
    return [f"%{digits}".encode(), rf"\\x{digits}".encode(), *plus]


def _forms(secret: bytes) -> Iterator[bytes]:
    """How programs write it."""
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for shift in range(3):  # base64 depends on what stands before it; its ends depend on others
        coded = base64.b64encode(bytes(shift) + secret)
        whole = coded[4 * (shift > 0) : len(coded) - 4 * bool((shift + len(secret)) % 3)]
        if len(whole) >= KEY_LINE // 2:
            yield whole
            yield whole.translate(bytes.maketrans(b"+/", b"-_"))  # as it stands in a URL
    text = secret.decode("utf-8", "replace")
    for ascii_only in (True, False):
        yield json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode()
    yield repr(text)[1:-1].encode()

"""The label inside the door: how a phone gets to the page of this box.

`kerbstone provision new` keeps what it says in a file of the operator's; only there the page's
secret is in clear. The page to print has two QR codes: the network, which a phone's camera joins,
and the address.
"""

import io
from html import escape
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edge.core import ConfigError
from edge.core.pageaddress import page_url
from edge.identity.claim import Claim
from edge.identity.names import GATEWAY
from edge.identity.pageaccess import WifiKey, network_name
from edge.provision import operatorfiles

FOLDER: Final = "labels"
QR_SPECIAL: Final = '\\;,:"'
STYLE: Final = """
@page { size: A6 landscape; margin: 6mm }
body { font: 11pt/1.35 sans-serif; color: #000; background: #fff; margin: 1em; max-width: 40em }
h1 { font-size: 15pt; margin: 0 0 .3em }
main { display: flex; gap: 1.5em }
section { flex: 1 }
svg { width: 32mm; height: 32mm; display: block }
b { font: 12pt/1.4 monospace; overflow-wrap: anywhere }
p { margin: .25em 0 }
"""
MOBILE_DATA: Final = (
    ("en", "Switch mobile data off on the phone, or it leaves this network."),
    ("zh", "请先关闭手机的移动数据，否则手机会离开此网络。"),
)
WARNING: Final = (
    ("en", "The phone warns of the certificate: compare its fingerprint with the box's."),
    ("zh", "手机会提示证书警告：请与设备显示的指纹核对。"),
)


class BoxLabel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the operator's. `secret` is in clear: who has it may change the box's settings."""

    gateway: Annotated[str, Meta(pattern=GATEWAY)]
    site: str
    claim: str
    network: str
    wifi_psk: WifiKey
    secret: Annotated[str, Meta(min_length=8, max_length=64)]


def keep_label(folder: Path, claim: Claim, secret: str) -> Path:
    """One for each claim: the former box of that name has another label. Raises ConfigError."""
    if claim.access is None:
        raise ConfigError("a claim without `access` has nothing for a label")
    label = BoxLabel(
        gateway=claim.gateway, site=claim.site, claim=claim.claim,
        network=network_name(claim.gateway), wifi_psk=claim.access.wifi_psk, secret=secret,
    )  # fmt: skip
    path = folder / f"{claim.gateway}-{claim.claim}.json"
    data = msgspec.json.format(msgspec.json.encode(label), indent=2)
    operatorfiles.create_file(path, data + b"\n", operatorfiles.OWNER_MODE)
    return path


def load_label(path: Path) -> BoxLabel:
    """Raises ConfigError."""
    try:
        return msgspec.json.decode(operatorfiles.read_file(path, "label"), type=BoxLabel)
    except ValueError as error:  # a MsgspecError is one
        raise ConfigError(f"{path}: no label of `kerbstone provision new`: {error}") from None


def wifi_text(network: str, key: str) -> str:
    """What a phone's camera joins, as all phones read it."""
    return f"WIFI:T:WPA;S:{_escape(network)};P:{_escape(key)};;"


def label_page(label: BoxLabel) -> str:
    """One page of HTML to print, with nothing from elsewhere. Raises ConfigError without segno."""
    network, address = wifi_text(label.network, label.wifi_psk), page_url()
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(label.gateway)}</title>
<style>{STYLE}</style></head><body>
<h1>Kerbstone {escape(label.gateway)}</h1>
{_sentences(MOBILE_DATA)}
<main><section><h2>1. Wi-Fi</h2>{_qr(network)}
<p><b>{escape(label.network)}</b></p><p><b>{escape(label.wifi_psk)}</b></p></section>
<section><h2>2. Page</h2>{_qr(address)}
<p><b>{escape(address)}</b></p><p>Secret 密码: <b>{escape(label.secret)}</b></p></section></main>
{_sentences(WARNING)}
</body></html>
"""


def write_label_page(label: BoxLabel, path: Path) -> None:
    """Raises ConfigError, OSError."""
    if path.suffix != ".html":
        raise ConfigError(f"{path}: this label is a page to print: NAME.html")
    operatorfiles.replace_file(path, label_page(label).encode(), operatorfiles.OWNER_MODE)


def _sentences(both: tuple[tuple[str, str], ...]) -> str:
    return "".join(f'<p lang="{tongue}">{escape(text)}</p>\n' for tongue, text in both)


def _qr(text: str) -> str:
    try:
        from segno import make  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise ConfigError(
            "the label's QR codes need the package `segno`: pip install 'kerbstone[label]'"
        ) from None
    out = io.BytesIO()
    make(text, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=False, omitsize=True, light="#fff"
    )
    return out.getvalue().decode("ascii")


def _escape(text: str) -> str:
    return "".join(f"\\{each}" if each in QR_SPECIAL else each for each in text)

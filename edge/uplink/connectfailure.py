"""Why a broker cannot be reached, as a class, and what a technician does about each.

Sources: OpenSSL, x509_vfy.h (codes of verification); MQTT 5.0, 3.2.2.2 (reason codes of CONNACK).
"""

import socket
import ssl
from collections.abc import Mapping
from typing import Final, Literal

from edge.uplink.inflight import BrokerRefusedError, CertificateRejectedError, ConnectionLostError

FailureClass = Literal[
    "name", "network", "port", "proxy", "plain", "authority", "host_name", "dates",
    "not_yet",
    "certificate", "tls", "own_certificate", "login", "right", "client_id", "protocol", "busy",
    "refused", "hung_up", "dropped",
]  # fmt: skip

REMEDIES: Final[Mapping[FailureClass, str]] = {
    "name": "The host of uplink.url has no address: check how it is written. If no other name has "
    "one either, check modem, SIM and the name server.",
    "network": "Nothing answers: check modem, antenna, SIM and cable, then whether a firewall lets "
    "this port through.",
    "port": "The host answers, but nobody listens at this port: check the port in uplink.url, and "
    "whether the broker runs.",
    "proxy": "Check uplink.proxy, whether the proxy runs, and whether it allows a connection to "
    "the host and port of uplink.url.",
    "plain": "What answers there speaks no TLS: check the port in uplink.url (8883 is usual for "
    "mqtts://), and whether the broker has TLS.",
    "authority": "The broker's certificate is signed by an authority that this box does not know: "
    "compare uplink.ca with the authority that signed it.",
    "host_name": "The broker's certificate is for another name: write the name that stands in it "
    "into uplink.url.",
    "dates": "Compare the clock of this box (`date`) with the time. If it is right, the broker's "
    "certificate has ended, and the city must renew it.",
    "not_yet": "Compare the clock of this box (`date`) with the time: it may be behind. If it is "
    "right, who runs the broker must use a certificate that is valid already.",
    "certificate": "The broker's certificate is not fit for its use, for the reason above: who "
    "runs the broker must issue another one.",
    "tls": "Broker and box agree on no way to encrypt: the broker must offer TLS 1.2 or later.",
    "own_certificate": "The broker does not take this box's certificate: look at its end "
    "(`openssl x509 -noout -enddate -in` the file of uplink.cert), and whether the city has "
    "withdrawn it; then enrol this box again.",
    "login": "User or password is wrong: compare uplink.username and the file of "
    "uplink.password_file with what the broker knows.",
    "right": "User or password is wrong (mosquitto gives this answer, too), or the broker's access "
    "rules keep this box out: compare uplink.username and the file of uplink.password_file with "
    "what the broker knows, then look at its rules.",
    "client_id": "The broker does not take this box's name as a client id: site.gateway must be "
    "the name that the broker expects.",
    "protocol": 'The broker does not speak MQTT 5: let it, or write protocol = "3.1.1".',
    "busy": "The broker is there and takes nobody now: it tries again by itself. If it lasts, tell "
    "the city.",
    "refused": "Ask the city: its broker gives the reason above.",
    "hung_up": "The broker ended the connection behind TLS: its log says why. Mostly it does not "
    "take this box's certificate (uplink.cert), or does not speak MQTT 5 (uplink.protocol).",
    "dropped": "The broker ended the connection: its log says why. If its port wants TLS, write "
    "mqtts:// in uplink.url.",
}
NOT_YET, EXPIRED, HOSTNAME, ADDRESS = 9, 10, 62, 64  # of OpenSSL
AUTHORITY: Final = frozenset({2, 18, 19, 20, 21, 24, 26})
CODES: Final[Mapping[int, FailureClass]] = {
    132: "protocol",
    133: "client_id",
    134: "login",
    135: "right",
    136: "busy",
    137: "busy",
    138: "right",  # banned
    140: "login",
    151: "busy",
    159: "busy",
}
OWN_WORDS: Final = ("ALERT_UNKNOWN_CA", "CERTIFICATE")
"""Of OpenSSL, when the other side refuses our certificate within the handshake (TLS 1.2)."""
PLAIN_WORDS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "EOF")
"""Of OpenSSL, when what came was no TLS, or somebody hung up in the middle of it."""


def failure_class(error: Exception, *, tls: bool = False, proxy: bool = False) -> FailureClass:
    """Of what `Sender` got when it tried to connect; `tls`: by mqtts://, `proxy`: through one."""
    match error:
        case BrokerRefusedError(code=code):
            return CODES.get(code, "refused")
        case CertificateRejectedError():
            return "own_certificate"
        case ssl.SSLCertVerificationError():
            return _verification(error)
        case ssl.SSLError():
            return _tls(str(error))
        case socket.gaierror():  # with a proxy its own: it looks up the broker's name itself
            return "proxy" if proxy else "name"
        case ConnectionRefusedError():
            return "proxy" if proxy else "port"
        case ConnectionLostError():
            return "hung_up" if tls else "dropped"
        case ConnectionResetError() | BrokenPipeError():
            return "plain" if tls else "dropped"
        case ConnectionError():
            return "proxy" if "proxy" in str(error) else "dropped"
    return "network"


def _tls(text: str) -> FailureClass:
    if "ALERT" in text and any(word in text for word in OWN_WORDS):
        return "own_certificate"
    return "plain" if any(word in text for word in PLAIN_WORDS) else "tls"


def _verification(error: ssl.SSLCertVerificationError) -> FailureClass:
    code = getattr(error, "verify_code", None)  # not there on one that Python has made itself
    if code in (HOSTNAME, ADDRESS):
        return "host_name"
    if code in AUTHORITY:
        return "authority"
    if code == NOT_YET:
        return "not_yet"
    return "dates" if code == EXPIRED else "certificate"


def untrusted_reason(error: ssl.SSLCertVerificationError) -> str:
    """Why the broker's certificate is not trusted, without OpenSSL's own marks."""
    return str(getattr(error, "verify_message", "") or error.args[-1]).rstrip(".")


def expired_error(text: str) -> ssl.SSLCertVerificationError:
    """As OpenSSL would raise it: the certificate has ended."""
    return _dates_error(text, EXPIRED)


def not_yet_error(text: str) -> ssl.SSLCertVerificationError:
    """The same: it has not begun."""
    return _dates_error(text, NOT_YET)


def _dates_error(text: str, code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, text)
    error.verify_code, error.verify_message = code, text
    return error


def led_through_tls(error: Exception) -> bool:
    """Whether the broker's certificate was good before this came."""
    answers = BrokerRefusedError, CertificateRejectedError, ConnectionLostError
    return isinstance(error, answers)


def failure_remedy(error: Exception, *, tls: bool = False, proxy: bool = False) -> str:
    """What to do about it."""
    return REMEDIES[failure_class(error, tls=tls, proxy=proxy)]

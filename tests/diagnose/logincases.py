"""What a broker makes of a login: mosquitto with its rules, and answers that it never gives; and a
gateway that is connected, and is not.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

from edge.diagnose import brokerlogin
from edge.diagnose.checks import CheckId
from tests.diagnose.bench import Answers, Bench, clean, fault_of
from tests.kit.broker import Subscriber
from tests.kit.rawbroker import RawBroker

UP, DOWN = "kerbstone/v1/s/gw-1/up", "kerbstone/v1/s/gw-1/down"
RIGHTS = f"topic write {UP}/+\ntopic write {UP}/+/+\ntopic read {DOWN}/#\n"
WITHOUT_STATUS = f"topic write {UP}/+/+\ntopic read {DOWN}/#\n"
WITHOUT_RECORDS = f"topic write {UP}/+\ntopic read {DOWN}/#\n"
TAKEN_OVER = b"\xe0\x02\x8e\x00"  # DISCONNECT, 142
RETAIN_UNAVAILABLE = b"\x25\x00"


def ruled(bench: Bench, check: CheckId, rules: str = RIGHTS) -> Answers:
    acl = bench.tmp_path / "acl"
    acl.write_text(rules)
    broker = bench.broker(f"allow_anonymous true\nacl_file {acl}\n")
    return bench.ask(check, bench.site(broker.url))


def plain(bench: Bench, check: CheckId) -> Answers:
    return bench.ask(check, bench.site(bench.broker().url))


def raw(bench: Bench, check: CheckId, **settings: Any) -> Answers:
    def setting(broker: RawBroker) -> None:
        for name, value in settings.items():
            setattr(broker, name, value)

    return bench.ask(check, bench.site(bench.raw(setting)))


@fault_of("mqtt_protocol")
def a_broker_without_mqtt_5(bench: Bench) -> Answers:
    return raw(bench, "mqtt_protocol", connack=132)


@clean("mqtt_protocol")
def a_broker_with_mqtt_5(bench: Bench) -> Answers:
    return plain(bench, "mqtt_protocol")


def users(bench: Bench, word: str) -> Path:
    """gw-1 with the password `right`."""
    listed = bench.tmp_path / "users"
    # mosquitto_passwd -c -b: PBKDF2 with SHA512, 101 rounds
    listed.write_text(f"gw-1:{hashed('right')}\n")
    listed.chmod(0o600)
    broker = bench.broker(f"allow_anonymous false\npassword_file {listed}\n")
    file = bench.tmp_path / "password"
    file.write_text(f"{word}\n")
    file.chmod(0o600)
    return bench.site(broker.url, uplink=f'username = "gw-1"\npassword_file = "{file}"')


def hashed(word: str) -> str:
    import base64
    import hashlib

    salt = bytes(12)
    made = hashlib.pbkdf2_hmac("sha512", word.encode(), salt, 101)
    return f"$7$101${base64.b64encode(salt).decode()}${base64.b64encode(made).decode()}"


@fault_of("login")
def a_wrong_password(bench: Bench) -> Answers:
    return bench.ask("login", users(bench, "wrong"))


@clean("login")
def the_right_password(bench: Bench) -> Answers:
    return bench.ask("login", users(bench, "right"))


@fault_of("name_taken")
def another_of_this_name(bench: Bench) -> Answers:
    """It comes while the doctor is there."""

    class Takes(RawBroker):
        def _reply(self, kind: int, body: bytes) -> bytes:
            return TAKEN_OVER if kind >> 4 == 3 else super()._reply(kind, body)

    return bench.ask("name_taken", bench.site(bench.raw(make=Takes)))


@clean("name_taken")
def nobody_else_of_this_name(bench: Bench) -> Answers:
    return plain(bench, "name_taken")


@fault_of("broker_limits")
def a_broker_that_keeps_nothing(bench: Bench) -> Answers:
    return raw(bench, "broker_limits", connack_properties=RETAIN_UNAVAILABLE)


@clean("broker_limits")
def a_broker_without_limits(bench: Bench) -> Answers:
    return plain(bench, "broker_limits")


@fault_of("right_subscribe")
def a_filter_that_is_refused(bench: Bench) -> Answers:
    return raw(bench, "right_subscribe", suback=lambda name: 0x87 if "cmd" in name else 1)


@fault_of("right_publish")
def a_rule_that_lacks_records(bench: Bench) -> Answers:
    return ruled(bench, "right_publish", WITHOUT_RECORDS)


@clean("right_publish")
def rules_with_records(bench: Bench) -> Answers:
    return ruled(bench, "right_publish")


@fault_of("right_will")
def a_rule_that_lacks_the_status(bench: Bench) -> Answers:
    return ruled(bench, "right_will", WITHOUT_STATUS)


@clean("right_will")
def rules_with_the_status(bench: Bench) -> Answers:
    return ruled(bench, "right_will")


@fault_of("quota")
def a_quota_that_is_used_up(bench: Bench) -> Answers:
    return raw(bench, "quota", answer=lambda topic, payload: 0x97)


@clean("quota")
def a_quota_with_room(bench: Bench) -> Answers:
    return plain(bench, "quota")


@fault_of("subscribers")
def nobody_listens(bench: Bench) -> Answers:
    return plain(bench, "subscribers")


@clean("subscribers")
def the_city_listens(bench: Bench) -> Answers:
    broker = bench.broker()
    city = Subscriber(broker, "kerbstone/v1/+/+/up/#")
    bench.stack.callback(city.stop, 0)
    return bench.ask("subscribers", bench.site(broker.url))


@fault_of("round_trip")
def a_broker_that_confirms_nothing(bench: Bench) -> Answers:
    class Silent(RawBroker):
        def _reply(self, kind: int, body: bytes) -> bytes:
            return b"" if kind >> 4 == 3 else super()._reply(kind, body)

    bench.monkeypatch.setattr(brokerlogin, "ANSWER_S", 0.2)
    return bench.ask("round_trip", bench.site(bench.raw(make=Silent)))


@clean("round_trip")
def a_broker_that_confirms(bench: Bench) -> Answers:
    return plain(bench, "round_trip")


# -- beside the daemon -----------------------------------------------------------------------------


def told(bench: Bench, check: CheckId, **link: Any) -> Answers:
    """By a real gateway's status, with these words of its link in place of its own."""
    gateway = bench.gateway
    status = deepcopy(gateway.status)
    status["link"] |= link
    return bench.ask(check, gateway.file, status=status)


@fault_of("link_up")
def a_gateway_without_a_link(bench: Bench) -> Answers:
    return told(
        bench, "link_up", connected=False, for_s=300.0, failure="timed out", failed_by="network"
    )


@clean("link_up")
def a_gateway_with_a_link(bench: Bench) -> Answers:
    return told(bench, "link_up")


@fault_of("receipt")
def records_that_nobody_confirms(bench: Bench) -> Answers:
    return told(bench, "receipt", for_s=5000.0, confirmed_s=4000.0, unconfirmed=12)


@clean("receipt")
def records_that_are_confirmed(bench: Bench) -> Answers:
    return told(bench, "receipt")


@clean("right_subscribe")
def receipts_that_arrive(bench: Bench) -> Answers:
    return told(bench, "right_subscribe", confirm="platform", confirmed_s=4.0, for_s=60.0)

"""A private D-Bus with NetworkManager, ModemManager and logind behind it, as far as we call them.

Methods, their signatures and the types of properties are those of the services' introspection data.
A call with other types is an error, as there; so is what nobody has.
"""

import importlib
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any, Final, Self

NM: Final = "org.freedesktop.NetworkManager"
MM: Final = "org.freedesktop.ModemManager1"
LOGIND: Final = "org.freedesktop.login1"
CONFIG: Final = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>
"""

METHODS: Final = {  # interface.Method -> in, out
    "org.freedesktop.DBus.Properties.Get": ("ss", "v"),
    "org.freedesktop.DBus.ObjectManager.GetManagedObjects": ("", "a{oa{sa{sv}}}"),
    f"{NM}.Settings.GetConnectionByUuid": ("s", "o"),
    f"{NM}.Settings.ReloadConnections": ("", "b"),
    f"{NM}.ActivateConnection": ("ooo", "o"),
    f"{MM}.Modem.Reset": ("", ""),
    f"{LOGIND}.Manager.Reboot": ("b", ""),
}


class DbusServices:
    """The services' side. `calls` is what was done; `refuse` are methods that polkit forbids."""

    def __init__(self, folder: Path, names: tuple[str, ...] = (NM, MM, LOGIND)) -> None:
        self.address = f"unix:path={folder}/bus"
        self.calls: list[tuple[str, str, tuple[Any, ...]]] = []
        self.refuse: set[str] = set()
        self.silent: set[str] = set()
        self.properties: dict[tuple[str, str], tuple[str, Any]] = {}
        self.profiles: dict[str, str] = {}
        self.modems: list[str] = ["/org/freedesktop/ModemManager1/Modem/0"]
        self._folder, self._names = folder, names
        self._jeepney = importlib.import_module("jeepney")
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        config = self._folder / "bus.conf"
        config.write_text(CONFIG.format(path=self._folder / "bus"))
        program = shutil.which("dbus-daemon")
        assert program is not None
        command = [program, f"--config-file={config}", "--nofork", "--print-address"]
        self._bus = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._bus.stdout is not None
        assert self._bus.stdout.readline()
        blocking = importlib.import_module("jeepney.io.blocking")
        self._connection = blocking.open_dbus_connection(self.address)
        for name in self._names:
            reply = self._connection.send_and_get_reply(
                self._jeepney.message_bus.RequestName(name), timeout=10
            )
            assert reply.body == (1,)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(10)
        self._connection.close()
        self._bus.terminate()
        self._bus.wait(10)
        assert self._bus.stdout is not None
        self._bus.stdout.close()

    def connection(self, uuid: str, state: int, path: str = "7") -> None:
        """An active connection, and its profile."""
        active, profile = f"/{NM.replace('.', '/')}/ActiveConnection/{path}", f"/profile/{path}"
        self.properties[active, "Uuid"] = ("s", uuid)
        self.properties[active, "State"] = ("u", state)
        self.properties[active, "Connection"] = ("o", profile)
        self.properties["/org/freedesktop/NetworkManager", "ActiveConnections"] = ("ao", [active])
        self.properties["/org/freedesktop/NetworkManager", "PrimaryConnection"] = ("o", active)
        self.profiles[uuid] = profile

    def nothing(self) -> None:
        """No connection is active."""
        self.properties["/org/freedesktop/NetworkManager", "ActiveConnections"] = ("ao", [])
        self.properties["/org/freedesktop/NetworkManager", "PrimaryConnection"] = ("o", "/")

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                message = self._connection.receive(timeout=0.2)
            except TimeoutError:
                continue
            if message.header.message_type == self._jeepney.MessageType.method_call:
                answer = self._answer(message)
                if answer is not None:
                    self._connection.send(answer)

    def _answer(self, message: Any) -> Any:
        kinds = self._jeepney.HeaderFields
        fields = message.header.fields
        path = fields[kinds.path]
        method = f"{fields[kinds.interface]}.{fields[kinds.member]}"
        if method in self.silent:
            return None
        error = self._jeepney.new_error
        if method not in METHODS:
            return error(message, "org.freedesktop.DBus.Error.UnknownMethod", "s", (method,))
        wanted, gives = METHODS[method]
        if fields.get(kinds.signature, "") != wanted:
            return error(message, "org.freedesktop.DBus.Error.InvalidArgs", "s", (wanted,))
        if method in self.refuse:
            return error(message, "org.freedesktop.DBus.Error.AccessDenied", "s", ("no",))
        found = self._found(method, path, message.body)
        if found is None:
            return error(message, "org.freedesktop.DBus.Error.UnknownObject", "s", (path,))
        if not method.startswith("org.freedesktop.DBus.") and "GetConnection" not in method:
            self.calls.append((method, path, tuple(message.body)))
        return self._jeepney.new_method_return(message, gives or None, found)

    def _found(self, method: str, path: str, body: tuple[Any, ...]) -> tuple[Any, ...] | None:
        match method.rpartition(".")[2]:
            case "Get":
                value = self.properties.get((path, body[1]))
                return None if value is None else (value,)
            case "GetManagedObjects":
                return ({one: {f"{MM}.Modem": {}} for one in self.modems},)
            case "GetConnectionByUuid":
                profile = self.profiles.get(body[0])
                return None if profile is None else (profile,)
            case "ActivateConnection":
                known = body[0] in self.profiles.values() and body[1:] == ("/", "/")
                return ("/active/8",) if known else None
            case "ReloadConnections":
                return (True,)
            case "Reset":
                return () if path in self.modems else None
            case _:
                return () if path == "/org/freedesktop/login1" else None

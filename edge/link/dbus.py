"""The system's D-Bus, behind one method. The only module that knows jeepney."""

import contextlib
import importlib
from typing import Any, Final, Protocol

TIMEOUT_S: Final = 20.0


class DBusError(Exception):
    """The call did not do what it should: refused, no such service, no answer."""


class DBus(Protocol):
    """One call: to whom, of what, which method, with arguments typed by `signature`."""

    def call(
        self, to: str, path: str, method: str, signature: str = "", *arguments: Any
    ) -> tuple[Any, ...]: ...


class SystemDBus:
    """Connects when first asked, and again after a failure. `method` is interface.Method."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._connection: Any = None

    def call(
        self, to: str, path: str, method: str, signature: str = "", *arguments: Any
    ) -> tuple[Any, ...]:
        # loaded here: a box that never has to do anything does without it
        try:
            jeepney = importlib.import_module("jeepney")
            blocking = importlib.import_module("jeepney.io.blocking")
        except ImportError as error:
            raise DBusError("jeepney is not installed: the extra `link` brings it") from error
        interface, _, member = method.rpartition(".")
        address = jeepney.DBusAddress(path, to, interface)
        message = jeepney.new_method_call(address, member, signature or None, arguments)
        try:
            if self._connection is None:
                limit_s = self._timeout_s
                self._connection = blocking.open_dbus_connection("SYSTEM", auth_timeout=limit_s)
            answer = self._connection.send_and_get_reply(message, timeout=self._timeout_s)
        except (
            OSError,
            EOFError,
            ValueError,
        ) as error:  # time-out and refused login are among them
            self.close()
            raise DBusError(f"{to}: {error or type(error).__name__}") from error
        if answer.header.message_type == jeepney.MessageType.error:
            name = answer.header.fields.get(jeepney.HeaderFields.error_name, "?")
            text = answer.body[0] if answer.body else ""
            raise DBusError(f"{member}: {name}: {text}")
        return tuple(answer.body)

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None

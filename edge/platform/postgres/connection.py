"""How each connection to the database is made: one whose other end has gone is soon given up."""

from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from edge.platform.postgres.migrate import SCHEMA

DEFAULTS: Final = {  # the address may say otherwise
    "connect_timeout": 10, "application_name": "kerbstone", "keepalives_idle": 30,
    "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 30_000,
}  # fmt: skip
OPTIONS: Final = f"-c search_path={SCHEMA} -c timezone=UTC"


def connect(url: str) -> psycopg.Connection:
    """Raises psycopg.ProgrammingError for what is no address, else psycopg.Error."""
    said = conninfo_to_dict(url)
    found: dict[str, Any] = {**DEFAULTS, **said}
    found["options"] = f"{said.get('options') or ''} {OPTIONS}".strip()
    return psycopg.connect(make_conninfo("", **found), autocommit=True)

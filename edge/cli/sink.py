"""`kerbstone sink`: store the records of a city of any size, and send receipts for what is stored.

It consumes one durable queue of RabbitMQ and stores in PostgreSQL (the extra `city`). It keeps
nothing itself: start as many as you want, on as many machines. `kerbstone audit` reads the same
database. Exit codes: 0 fine, 1 conflicts or messages that were refused, 2 wrong use, 3 the broker
or the database cannot be reached, or refuses what a sink has to do.
"""

import argparse
import asyncio
import contextlib
from pathlib import Path
from random import Random

from edge.acquire.clock import SystemClock
from edge.cli.citydatabase import NEEDED, check_address
from edge.cli.ingestrun import IngestRun, run_options
from edge.cli.subscribe import prefix_option
from edge.config.passwords import read_password
from edge.core import ConfigError
from edge.platform.recordingest import RecordIngest
from edge.platform.recordstore import RecordStoreError
from edge.platform.sitecheck import AllowedSites
from edge.platform.subscription import BrokerSource, UnreachableError, parse_source
from edge.terminal import echo


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "sink", help="store the records of a whole city, from RabbitMQ into PostgreSQL",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--broker", action="append", default=[], metavar="URL",
        help="amqps://HOST:PORT or amqp://HOST:PORT; one for each node")  # fmt: skip
    add("--database", required=True, metavar="URL", help="postgresql://USER@HOST/DATABASE; the "
        "password is best in ~/.pgpass, or in a file that PGPASSFILE names")  # fmt: skip
    add("--migrate", action="store_true",
        help="make the tables of this version, or bring them to it, and end")  # fmt: skip
    add("--ca", type=Path, metavar="FILE", help="certificate of the authority (CA) of the broker")
    add("--cert", type=Path, metavar="FILE", help="client certificate")
    add("--key", type=Path, metavar="FILE", help="key of the client certificate")
    add("--username", metavar="NAME", help="user name at the broker, without a certificate")
    add("--password-file", type=Path, metavar="FILE", help="file with the password in one line")
    add("--sites", type=Path, metavar="PLACE", help="which gateway belongs to which site, as for "
        "`receipts`")  # fmt: skip
    run_options(parser)
    prefix_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    clock = SystemClock()
    ours = IngestRun(args, clock)
    try:
        check_address(args.database)
        if args.migrate:
            return _migrate(args.database)
        if not args.broker:
            raise ConfigError("--broker is missing: amqps://HOST:PORT of RabbitMQ")
        from edge.platform.amqp import PORTS
        from edge.platform.postgres.store import PostgresStore
        from edge.platform.sink import Sink

        password = read_password(args.password_file) if args.password_file else None
        sources = [
            parse_source(
                url, "", ca=args.ca, cert=args.cert, key=args.key, username=args.username,
                password=password, ports=PORTS,
            )
            for url in args.broker
        ]  # fmt: skip
        sites = AllowedSites(args.sites) if args.sites is not None else None
        store = PostgresStore(args.database, write=True)
    except ImportError as error:
        return ours.fail(f"{NEEDED} ({error})", 2)
    except ConfigError as error:
        return ours.fail(str(error), 2)
    except RecordStoreError as error:
        return ours.fail(str(error), 3)
    with contextlib.closing(store):
        ingest = RecordIngest(
            store, report=ours.report, prefix=args.prefix, sites=sites,
            keep_notices=store.keep_notices, rate=ours.intake_rate(),
        )  # fmt: skip
        try:  # what sinks left that were killed: a gateway that is gone sends no next manifest
            ingest.prove_later(store.unproved())
        except RecordStoreError as error:
            return ours.fail(str(error), 3)
        sink = Sink(ingest, sources, clock=clock, prefix=args.prefix, random=Random())
        ours.counts = ingest.counts

        def ready(source: BrokerSource) -> None:
            ours.note(f"consuming at {source.host}:{source.port}")

        try:
            asyncio.run(ours.run(lambda stop: sink.run(stop, idle_s=args.idle_s, on_ready=ready)))
        except UnreachableError as error:
            return ours.fail(f"no broker can be used: {error}", 3)
    return ours.verdict()


def _migrate(url: str) -> int:
    import psycopg

    from edge.platform.postgres.connection import connect
    from edge.platform.postgres.migrate import migrate
    from edge.platform.postgres.opendatabase import server_words

    try:
        with connect(url) as connection:
            done = migrate(connection)
    except psycopg.ProgrammingError as error:
        if error.sqlstate is None:  # no server has said it
            raise ConfigError(f"this is no address of a database: {error}") from error
        why = f"{server_words(error)}: --migrate is for the owner of the database"
        echo(f"kerbstone sink: database: {why}", err=True)
        return 3
    except psycopg.Error as error:
        echo(f"kerbstone sink: database: {server_words(error)}", err=True)
        return 3
    for each in done:
        echo(f"{each.number:04} {each.name}")
    echo("the tables are those of this version")
    return 0

"""`kerbstone export`: write a day of a city's view as Parquet, for pandas, DuckDB or Polars.

Archived days are read as all others. A day is a UTC day in which windows begin or events happen;
what has no time is in no day. Columns carry units and meanings. Exit codes: 0 written, 1 the view
has nothing of that day, 2 wrong use, 3 the database cannot be reached or the file not be written.
"""

import argparse
from pathlib import Path

from edge.cli.citydatabase import city_database, megabytes, utc_day
from edge.core import ConfigError
from edge.platform.recordstore import RecordStoreError
from edge.terminal import echo, progress


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "export", help="write a day of a city's view as Parquet",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--database", required=True, metavar="URL", help="as for `sink`")
    add("--day", type=utc_day, required=True, metavar="DAY", help="UTC day (2026-11-26)")
    add("--to", type=Path, required=True, metavar="FILE", help="such as lanes.parquet")
    add("--view", default="lane_minute", help="of the schema `city` (default lane_minute)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        with city_database(args.database) as db:
            from edge.platform.postgres.dayexport import export_day

            done = export_day(
                db, args.view, args.day, args.to,
                progress=lambda rows: progress(f"{rows} rows"),
            )  # fmt: skip
    except ConfigError as error:
        return _fail(str(error), 2)
    except RecordStoreError as error:
        return _fail(str(error), 3)
    except FileNotFoundError:
        return _fail(f"{args.to}: the folder {args.to.parent} does not exist; make it", 3)
    except OSError as error:
        return _fail(f"{args.to}: {error.strerror or error}", 3)
    if not done.rows:
        return _fail(f"{args.to}: {args.view} has nothing of {args.day}: 0 rows were written", 1)
    echo(f"{args.to}: {done.rows} rows of {args.view}, {megabytes(done.size)}")
    return 0


def _fail(text: str, code: int) -> int:
    echo(f"kerbstone export: {text}", err=True)
    return code

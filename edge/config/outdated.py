"""What was allowed once and is refused in a new file. A box that runs with it goes on, and says so.

`kerbstone check` refuses it; the daemon opens an issue with the remedy.
"""

from collections.abc import Iterator

from edge.config.problem import Problem
from edge.config.site import Site


def outdated_keys(site: Site) -> Iterator[Problem]:
    """Each with what to write instead."""
    prefix = site.uplink.prefix
    if "." in prefix:
        yield site.remark(
            ("uplink", "prefix"),
            f"{prefix} has a dot, which is a level of its own to RabbitMQ, so that two topics may "
            f"become one; write {prefix.replace('.', '-')}, once the platform subscribes to it",
        )

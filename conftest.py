"""Lets tests import `tests.*` and the packages from a checkout that is not installed."""

import os
import signal

from hypothesis import HealthCheck, settings

# How long an example or its making takes says nothing on a machine that runs the suite on all its
# cores. The same code gives the same result: EXPLORE=1 tries other examples, as `make fuzz` does.
settings.register_profile(
    "kerbstone",
    deadline=None,
    derandomize=not os.environ.get("EXPLORE"),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("kerbstone")

# A shell that starts us in the background has SIGINT ignored, and so would all whom we start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

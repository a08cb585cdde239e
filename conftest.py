"""Lets tests import `tests.*` and the packages from a checkout that is not installed."""

from hypothesis import settings

# how long an example takes says nothing on a machine that runs the suite on all its cores
settings.register_profile("kerbstone", deadline=None)
settings.load_profile("kerbstone")

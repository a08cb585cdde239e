"""Lets tests import `tests.*` and the packages from a checkout that is not installed."""

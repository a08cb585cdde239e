"""How bytes get onto a disk for good, and stay whole whatever happens to process and power.

Nothing is imported here: `kerbstone-link` takes its atomic write without SQLite.
"""

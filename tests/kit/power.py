"""Ends that nobody may handle: the power goes, or the process is killed, in the middle of a call.

They are no `Exception`, so that code under test cannot catch them and go on.

    with contextlib.suppress(ProcessKilled):
        daemon.work()  # a patched os.replace raises it
"""


class PowerCut(BaseException):
    """The power has gone: nothing that comes later reaches the card."""


class ProcessKilled(BaseException):
    """The process has been killed: from then on it changes nothing any more."""

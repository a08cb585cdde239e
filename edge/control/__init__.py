"""The socket through which every other process talks to the daemon."""

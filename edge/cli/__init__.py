"""The command `kerbstone`: one file a verb; each parses and calls, nothing more."""

"""Recorded edges: the file that `kerbstone replay` reads, and what makes it of logs."""

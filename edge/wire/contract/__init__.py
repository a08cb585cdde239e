"""What the broker sees, declared: every payload with its units, ranges and meanings.

Producers fill the bodies that are declared here. The documents under `docs/contract/` are made from
the same declarations (`catalogue.py`, `schemas.py`), and tests hold what is really sent against
them; the daemon loads neither.
"""

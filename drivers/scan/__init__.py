"""Finding out what is on a wire, by asking for what devices tell anybody: no setting is written.

A bus is handed in; what is found goes into `Findings`, so that it is there when a scan is ended.
"""

"""Commissioning: whether what was mounted and configured is right, step by step. Pure.

The state belongs to the daemon (`edge/gateway/commissioning.py`). Here is what a step is, how it is
judged from what was measured, and what the acceptance sheet says in the end.
"""

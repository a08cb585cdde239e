"""An event that signals set and interrupt; and that nobody waits for another kind beside them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from edge.core.signalevent import SignalEvent

ROOT = Path(__file__).parents[2]
HANDLED = """
import signal, sys
{make}
done = 0
for _ in range(4000):
    event = make()
    signal.signal(signal.SIGALRM, lambda *_: event.set())
    signal.setitimer(signal.ITIMER_REAL, 0.00015)
    while not event.wait(0.00001):
        pass
    done += 1
print(done)
"""
AIMED = """
import random, signal
from edge.core import signalevent
{make}
signalevent.LOOK_S = 0.01
done = 0
for _ in range(200):
    event = make()
    signal.signal(signal.SIGALRM, lambda *_: event.set())
    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.000001, 0.00002))
    event.wait()
    done += 1
print(done)
"""
INTERRUPTED = """
import os, signal, threading, time
{make}
event, heard = make(), -1
def press():
    for pressed in range(300):
        while heard < pressed:
            time.sleep(0.0002)
        os.kill(os.getpid(), signal.SIGINT)
def wait():
    while True:
        event.wait(0.0)
threading.Thread(target=press, daemon=True).start()
while heard < 300:
    try:
        heard = max(heard, 0)
        wait()
    except KeyboardInterrupt:
        heard += 1
print(heard)
"""
OURS = "from edge.core.signalevent import SignalEvent as make"
THEIRS = "from threading import Event as make"


def played(script: str, make: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script.replace("{make}", make)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_is_set_once_and_for_all() -> None:
    event = SignalEvent()
    assert not event.is_set()
    assert not event.wait(0.0)
    event.set()
    assert event.wait()
    assert event.wait(0.0)
    assert event.is_set()


@pytest.mark.parametrize(
    ("script", "times"),
    [(HANDLED, "4000"), (AIMED, "200"), (INTERRUPTED, "300")],
    ids=["handled", "aimed", "interrupted"],
)
def test_no_moment_is_a_wrong_one_for_a_signal(script: str, times: str) -> None:
    """With `threading.Event` the first two stand still for ever and the last one raises.

    The second one aims at the moment before the wait, when a signal wakes nobody yet.
    """
    said = played(script, OURS)
    assert said.stdout.strip() == times, said.stderr


def test_who_hears_signals_waits_for_no_event_of_threading() -> None:
    """Nobody who handles a signal or a Ctrl-C keeps a `threading.Event` that he waits for."""
    wrong = []
    for folder in ("edge", "drivers", "models", "deploy"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if "signal.signal(" in text or "except KeyboardInterrupt" in text:
                made = {
                    node.attr if isinstance(node, ast.Attribute) else node.id
                    for node in ast.walk(ast.parse(text))
                    if isinstance(node, ast.Attribute | ast.Name)
                }
                if made & {"Event", "Condition"}:
                    wrong.append(str(path.relative_to(ROOT)))
    assert wrong == []

"""python -m tests.bench.loaded yes|no: the process's VmRSS in KiB, its models loaded or not.

With `no` the rules answer, and onnxruntime is not even imported.
"""

import os
import sys

from edge.infer.judge import Judge, JudgeSetup
from tests.bench.judging import POINTS, WINDOW_S, S, bundles, lanes, windows
from tests.bench.scoring import rss_kib
from tests.kit.judging import judged

if __name__ == "__main__":
    judge = Judge(JudgeSetup(lanes=lanes(8), period_ns=WINDOW_S * S))
    if sys.argv[1] == "yes":
        judge.load()
    for name in bundles():
        for window in windows(name, POINTS, 3):
            judged(judge, *window)
    print(rss_kib(os.getpid()))

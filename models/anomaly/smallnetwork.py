"""Fits the learned part: a small network, by Adam, with numpy alone; seeded, so it can be repeated.

No framework: four thousand weights do not need one, and it would double what must be installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

HIDDEN: Final = (48, 24)
STEPS: Final = 9_000
BATCH: Final = 2048
RATE: Final = 2e-3
DECAY: Final = 1e-4
WARM: Final = 200  # steps

Floats = NDArray[np.float32]


def fit_network(
    x: Floats, wrong: Floats, weight: Floats, seed: int, steps: int = STEPS
) -> list[tuple[Floats, Floats]]:
    """Layers (weights, bias) for log odds that a sample is wrong; rows of x are samples."""
    rng = np.random.default_rng(seed)
    sizes = (x.shape[1], *HIDDEN, 1)
    params: list[Any] = []
    for rows, columns in pairwise(sizes):
        start = rng.normal(0, np.sqrt(2 / rows), (rows, columns)).astype(np.float32)
        params += [start, np.zeros(columns, np.float32)]
    params[-1][:] = -3.0  # faults are rare
    first = [np.zeros_like(p) for p in params]
    second = [np.zeros_like(p) for p in params]
    for step in range(1, steps + 1):
        rows_ = rng.integers(0, len(x), BATCH)
        gradients = _gradients(params, x[rows_], wrong[rows_], weight[rows_])
        pace = RATE * min(1.0, step / WARM) * (0.5 * (1 + np.cos(np.pi * step / steps)) + 0.01)
        for param, gradient, a, b in zip(params, gradients, first, second, strict=True):
            a += 0.1 * (gradient - a)
            b += 0.001 * (gradient * gradient - b)
            ahead = a / (1 - 0.9**step) / (np.sqrt(b / (1 - 0.999**step)) + 1e-8)
            param -= (pace * ahead).astype(np.float32)
    return list(zip(params[::2], params[1::2], strict=True))


def mean_network(nets: Sequence[Sequence[tuple[Floats, Floats]]]) -> list[tuple[Floats, Floats]]:
    """One network, the mean of these: side by side, none sees the inner values of another."""
    out: list[tuple[Floats, Floats]] = []
    last = len(nets[0]) - 1
    for place in range(last + 1):
        layers = [net[place] for net in nets]
        if place == last:
            share = np.float32(1 / len(nets))
            weights = np.concatenate([w for w, _ in layers]) * share
            bias = np.sum([b for _, b in layers], axis=0) * share
        else:
            bias = np.concatenate([b for _, b in layers])
            weights = (
                np.concatenate([w for w, _ in layers], axis=1) if not place else _apart(layers)
            )
        out.append((weights.astype(np.float32), bias.astype(np.float32)))
    return out


def _apart(layers: Sequence[tuple[Floats, Floats]]) -> Floats:
    """Their weights along the diagonal."""
    rows, columns = layers[0][0].shape
    out = np.zeros((rows * len(layers), columns * len(layers)), np.float32)
    for i, (weights, _) in enumerate(layers):
        out[i * rows : (i + 1) * rows, i * columns : (i + 1) * columns] = weights
    return out


def _gradients(params: list[Any], x: Floats, wrong: Floats, weight: Floats) -> list[Any]:
    layers = list(zip(params[::2], params[1::2], strict=True))
    inner = [x]
    for weights, bias in layers[:-1]:
        inner.append(np.maximum(inner[-1] @ weights + bias, 0))
    odds = (inner[-1] @ layers[-1][0] + layers[-1][1])[:, 0]
    chance = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
    back = ((chance - wrong) * weight * (4.0 / len(x)))[:, None].astype(np.float32)
    out: list[Any] = []
    for place in range(len(layers) - 1, -1, -1):
        weights, _ = layers[place]
        out = [inner[place].T @ back + DECAY * weights, back.sum(0), *out]
        if place:
            back = (back @ weights.T) * (inner[place] > 0)
    return out

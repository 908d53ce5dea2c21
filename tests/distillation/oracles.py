"""The papers' formulas of distillation, one number at a time.

s and t are the student's and the teacher's logits B×K, or a list of the features of their
stages: a map, a map of half its side, and a vector, as ``SHAPES`` says.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LABELS = (0, 3, 2, 1, 1)
SHAPES = ((3, 4, 4), (4, 2, 2), (6,))


def loop_softmax(z: Array) -> Array:
    powers = [math.exp(value - max(z)) for value in z]
    return np.array([power / sum(powers) for power in powers])


def loop_kl(p: Array, q: Array) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def loop_soft(s: Array, t: Array, T: float) -> float:
    return T**2 * np.mean([loop_kl(loop_softmax(b / T), loop_softmax(a / T)) for a, b in zip(s, t, strict=True)])


def loop_dkd(s: Array, t: Array, T: float) -> float:
    total = 0.0
    for z_s, z_t, label in zip(s, t, LABELS, strict=True):
        p_s, p_t = loop_softmax(z_s / T), loop_softmax(z_t / T)
        whether = [np.array([p[label], 1 - p[label]]) for p in (p_t, p_s)]
        among = [np.delete(p, label) / (1 - p[label]) for p in (p_t, p_s)]
        total += 1 * loop_kl(*whether) + 8 * loop_kl(*among)
    return T**2 * total / len(s)


def loop_standardised(s: Array, t: Array, T: float) -> float:
    def z_scores(z: Array) -> Array:
        return np.array([(row - row.mean()) / row.std() for row in z])

    return loop_soft(z_scores(s), z_scores(t), T)


def loop_dist(s: Array, t: Array, T: float) -> float:
    p_s, p_t = (np.array([loop_softmax(row / T) for row in z]) for z in (s, t))
    by_image = np.mean([1 - np.corrcoef(a, b)[0, 1] for a, b in zip(p_s, p_t, strict=True)])
    by_class = np.mean([1 - np.corrcoef(a, b)[0, 1] for a, b in zip(p_s.T, p_t.T, strict=True)])
    return float(by_image + by_class)


BY_LOGITS: dict[str, Callable[[Array, Array, float], float]] = {
    "soft_targets": loop_soft,
    "logits": lambda s, t, T: float(np.mean([sum((a - b) ** 2) / (2 * len(a)) for a, b in zip(s, t, strict=True)])),
    "dkd": loop_dkd,
    "standardised": loop_standardised,
    "dist": loop_dist,
    "born_again": lambda s, t, T: loop_soft(s, t, 1.0),
}


def loop_hint(s: list[Array], t: list[Array]) -> float:
    return float(np.mean([np.mean([(x - y) ** 2 for x, y in zip(a.flat, b.flat)]) for a, b in zip(s, t)]))  # noqa: B905


def loop_attention(s: list[Array], t: list[Array]) -> float:
    """The third stage is a vector and does not count."""
    total = 0.0
    for a, b in zip(s[:2], t[:2], strict=True):
        for image_a, image_b in zip(a, b, strict=True):
            maps = [sum(channel**2 for channel in image).flatten() for image in (image_a, image_b)]
            maps = [q / math.sqrt(sum(q**2)) for q in maps]
            total += sum((maps[0] - maps[1]) ** 2) / len(a) / 2
    return total


def huber(x: float, y: float) -> float:
    return 0.5 * (x - y) ** 2 if abs(x - y) <= 1 else abs(x - y) - 0.5


def loop_distance(s: list[Array], t: list[Array]) -> float:
    pairs = list(itertools.permutations(range(len(s[-1])), 2))

    def relative(f: Array) -> list[float]:
        distances = [math.dist(f[i], f[j]) for i, j in pairs]
        return [d / np.mean(distances) for d in distances]

    return float(np.mean([huber(a, b) for a, b in zip(relative(s[-1]), relative(t[-1]), strict=True)]))


def loop_angle(s: list[Array], t: list[Array]) -> float:
    def cosine(f: Array, i: int, j: int, k: int) -> float:
        a, b = f[i] - f[j], f[k] - f[j]
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    triples = itertools.permutations(range(len(s[-1])), 3)
    return float(np.mean([huber(cosine(s[-1], *ijk), cosine(t[-1], *ijk)) for ijk in triples]))


def loop_similarity(s: list[Array], t: list[Array]) -> float:
    def rows(f: Array) -> Array:
        products = np.array([[sum(a * b) for b in f] for a in f])
        return np.array([row / math.sqrt(sum(row**2)) for row in products])

    return float(((rows(s[-1]) - rows(t[-1])) ** 2).sum() / len(s[-1]) ** 2)


def loop_fsp(s: list[Array], t: list[Array]) -> float:
    def flow(a: Array, b: Array) -> Array:
        """The first map has twice the side of the second, and the third is a vector: mean over 2×2 each time."""
        if b.ndim == 1:
            b = b[:, None, None]
        a = np.array([[[x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean() for j in range(b.shape[2])]
                       for i in range(b.shape[1])] for x in a])  # fmt: skip
        return np.array([[np.mean(x * y) for y in b] for x in a])

    total = 0.0
    for stage, image in itertools.product(range(2), range(len(s[0]))):
        difference = flow(s[stage][image], s[stage + 1][image]) - flow(t[stage][image], t[stage + 1][image])
        total += np.mean(difference**2) / len(s[0]) / 2
    return total


BY_FEATURES: dict[str, Callable[[list[Array], list[Array]], float]] = {
    "hint": loop_hint,
    "attention": loop_attention,
    "rkd_distance": loop_distance,
    "rkd_angle": loop_angle,
    "similarity": loop_similarity,
    "fsp": loop_fsp,
}

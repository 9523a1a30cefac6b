#!/usr/bin/env python3
"""Writes tests/vectors/psychometric.json: posteriors and proposals of src/stats/psychometric.rs, computed with whole arrays.

    pip install numpy && python3 scripts/psychometric_vectors.py > tests/vectors/psychometric.json

QUEST+ (Watson, Journal of Vision 17(3):10, 2017) with guess and lapse rates marginalised out of the entropy (Prins,
Journal of Vision 13(7):3, 2013).
"""

import json

import numpy as np

STEP = 1 / 32
THRESHOLDS = np.arange(-8, 41) * STEP
SPREADS = 0.03 * 20 ** (np.arange(8) / 7)
GUESSES = np.array([0, 0.02, 0.05, 0.1, 0.2])
GUESS_PRIOR = np.array([0.4, 0.25, 0.2, 0.1, 0.05])
LAPSES = np.array([0, 0.02, 0.04, 0.06])
SIZES = np.arange(33) * STEP
LEVEL = 0.95

T, S, G, L = np.meshgrid(THRESHOLDS, SPREADS, GUESSES, LAPSES, indexing="ij")


def psi(x):
    return G + (1 - G - L) / (1 + np.exp(-2 * np.log(9) * (x - T) / S))


def prior():
    p = np.ones(T.shape) * GUESS_PRIOR[None, None, :, None]
    return p / p.sum()


def entropy(p):
    p = p.sum(axis=(2, 3))
    p = p[p > 0] / p.sum()
    return -(p * np.log(p)).sum()


def expected_entropy(post, x):
    seen = psi(x)
    hit, miss = post * seen, post * (1 - seen)
    return hit.sum() * entropy(hit) + miss.sum() * entropy(miss)


def quantile(post, probability, share):
    """Each threshold stands for half a step to either side."""
    f = (probability - G) / (1 - G - L)
    with np.errstate(divide="ignore", invalid="ignore"):
        above = np.where(f <= 0, -np.inf, np.where(f >= 1, np.inf, np.log(f / (1 - f)) / (2 * np.log(9))))
    at = T + S * above

    def below(x):
        return (post * np.clip((x - at) / STEP + 0.5, 0, 1)).sum()

    low, high = -3.0, 4.0
    if below(high) < share:
        return None
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) < share else (low, middle)
    return high


def play(answers, start):
    post, steps = prior(), []
    for detected in answers:
        entropies = [expected_entropy(post, x) if x >= start else np.inf for x in SIZES]
        size = float(SIZES[int(np.argmin(entropies))])
        seen = psi(size)
        post = post * (seen if detected else 1 - seen)
        post /= post.sum()
        tail = (1 - LEVEL) / 2
        ends = lambda p: [quantile(post, p, share) for share in (0.5, tail, 1 - tail)]
        steps.append({
            "size": size,
            "detected": detected,
            "half": ends(0.5),
            "most": ends(0.9),
            "mean_threshold": float((post * T).sum()),
            "mean_spread": float((post * S).sum()),
            "curve": [float((post * psi(x)).sum()) for x in (0.0, 0.25, 0.5, 0.75, 1.0)],
        })
    return {"from": start, "level": LEVEL, "steps": steps}


def main():
    lists = ["1101001011010110", "0000000000", "1111111111", "0110010111010011010110"]
    plays = [play([c == "1" for c in answers], 0.0) for answers in lists]
    plays.append(play([c == "1" for c in "10110100"], 0.4))
    print(json.dumps({"plays": plays}, indent=1))


main()

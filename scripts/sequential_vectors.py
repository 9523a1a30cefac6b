#!/usr/bin/env python3
"""Writes tests/vectors/sequential.json: the evidence of a change of a share, with SciPy.

    python3 scripts/sequential_vectors.py > tests/vectors/sequential.json
"""

import json
import math

from scipy.optimize import minimize_scalar
from scipy.special import betaln
from scipy.stats import binom

CASES = [
    (10, 1000, 60, 200, 1.0),
    (10, 1000, 60, 200, 2.0),
    (10, 1000, 60, 200, 100.0),
    (0, 500, 3, 100, 1.0),
    (0, 500, 3, 100, 1.25),
    (500, 500, 90, 100, 1.0),
    (333, 1000, 300, 1000, 1.0),
    (333, 1000, 300, 1000, 1.25),
    (333, 1000, 100, 1000, 1.25),
    (5, 20, 5, 20, 1.0),
    (0, 100000, 40, 400, 1.5),
]


def log_odds(hits, n):
    return math.log(hits / (n - hits)) if 0 < hits < n else math.copysign(math.inf, hits - n / 2)


def log_marginal(hits, n):
    return betaln(0.5 + hits, 0.5 + n - hits) - betaln(0.5, 0.5)


def log_likelihood(hits, n, theta):
    p = 1 / (1 + math.exp(-theta))
    return binom.logpmf(hits, n, p) - (math.lgamma(n + 1) - math.lgamma(hits + 1) - math.lgamma(n - hits + 1))


def evidence(h0, n0, h1, n1, tolerance):
    moved = log_odds(h1, n1) - log_odds(h0, n0)
    if abs(moved) <= math.log(tolerance):
        return None
    step = math.copysign(math.log(tolerance), moved)
    best = minimize_scalar(
        lambda theta: -log_likelihood(h0, n0, theta) - log_likelihood(h1, n1, theta + step),
        bounds=(-30, 30),
        method="bounded",
        options={"xatol": 1e-12},
    )
    return log_marginal(h0, n0) + log_marginal(h1, n1) + best.fun


keys = ("hits_before", "before", "hits_after", "after", "tolerance")
print(json.dumps([dict(zip(keys, case)) | {"log_evidence": evidence(*case)} for case in CASES], indent=1))

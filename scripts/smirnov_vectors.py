#!/usr/bin/env python3
"""Writes tests/vectors/smirnov.json: Smirnov's asymptotic p for R's cases in stats.json, with SciPy.

R ends the series at its first terms below λ = 1, and is off by up to 5e-5 there.

    python3 scripts/smirnov_vectors.py > tests/vectors/smirnov.json
"""

import json
import math
import pathlib

from scipy.stats import kstwobign

stats = json.loads((pathlib.Path(__file__).parent.parent / "tests/vectors/stats.json").read_text())
cases = []
for case in stats["smirnov"]:
    n, m = sum(case["first"]), sum(case["second"])
    p = kstwobign.sf(math.sqrt(n * m / (n + m)) * case["statistic"])
    cases.append({"first": case["first"], "second": case["second"], "p": float(p)})
limits = [{"lambda": x, "p": float(kstwobign.sf(x))} for x in (0.3, 0.5, 0.96, 1.0, 1.36, 2.5)]
print(json.dumps({"samples": cases, "limits": limits}, indent=1))

"""The demo model in plain Python, for the servers that bring no model of their own.

The same coefficients as canard's demo and as the scikit-learn object that MLServer and MLflow load, so every
server gives the same labels for the same flowers.
"""

import json
import math
import os
from pathlib import Path

COEFFICIENTS = os.environ.get("CANARD_IRIS") or Path(__file__).resolve().parents[3] / "src/demo/coefficients.json"
MODEL = json.loads(Path(COEFFICIENTS).read_text())
LABELS = MODEL["labels"]
FEATURES = len(MODEL["features"])


def check(rows):
    for row in rows:
        if len(row) != FEATURES:
            raise ValueError(f"X has {len(row)} features, but the model expects {FEATURES}")


def probabilities(rows):
    check(rows)
    answers = []
    for row in rows:
        scores = [
            sum(c * float(x) for c, x in zip(coefficients, row)) + intercept
            for coefficients, intercept in zip(MODEL["coefficients"], MODEL["intercepts"])
        ]
        top = max(scores)
        parts = [math.exp(score - top) for score in scores]
        answers.append([part / sum(parts) for part in parts])
    return answers


def classes(rows):
    return [row.index(max(row)) for row in probabilities(rows)]


def labels(rows):
    return [LABELS[index] for index in classes(rows)]

#!/usr/bin/env python3
"""Fits the demo model and writes everything that follows from it.

    python3 -m venv /tmp/fit && /tmp/fit/bin/pip install scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
    /tmp/fit/bin/python scripts/fit_demo_model.py

Data: Fisher's iris (R. A. Fisher, "The use of multiple measurements in taxonomic problems", Annals of
Eugenics 7, 1936; public domain), as scikit-learn ships it, exported once to scripts/iris.csv. 90 rows
train a multinomial logistic regression; the other 60 are the traffic, so the model has never seen what it
is asked. Everything is seeded: running this again on the same machine changes no file; another CPU may
round the last digits otherwise.

Writes scripts/iris.csv, src/demo/coefficients.json, src/demo/vectors.json and
scenarios/traffic/iris.jsonl.
"""

import csv
import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy
import sklearn
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

ROOT = Path(__file__).resolve().parent.parent
SEED = 7
USERS = 300
FEATURES = ["sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm"]


def read_data():
    path = ROOT / "scripts" / "iris.csv"
    if not path.exists():
        iris = load_iris()
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*FEATURES, "species"])
            for row, target in zip(iris.data, iris.target):
                writer.writerow([*row, iris.target_names[target]])
    with path.open() as file:
        rows = list(csv.DictReader(file))
    data = numpy.array([[float(row[name]) for name in FEATURES] for row in rows])
    return data, numpy.array([row["species"] for row in rows])


def write_json(path, value):
    (ROOT / path).write_text(json.dumps(value, indent=2) + "\n")


def traffic(data, species):
    """Three requests for each user, one of each species.

    So every user, and with it every exposure share, sees the same mix of species: what differs between
    treated and control traffic is the fault, not who happened to be drawn.
    """
    shuffle = random.Random(SEED)
    lines = []
    for name in sorted(set(species)):
        rows = numpy.flatnonzero(species == name).tolist()
        deck = rows * -(-USERS // len(rows))
        shuffle.shuffle(deck)
        for user, row in zip(range(USERS), deck):
            lines.append(request(f"u{user:03}", data[row].tolist(), name))
    shuffle.shuffle(lines)
    return lines


def request(user, features, species):
    tensor = {"name": "features", "shape": [1, 4], "datatype": "FP64", "data": features}
    return {
        "method": "POST",
        "path": "/v2/models/iris/infer",
        "headers": {"content-type": "application/json", "x-user-id": user},
        "body": {"inputs": [tensor]},
        "label": species,
    }


@dataclass
class Fit:
    model: LogisticRegression
    train: numpy.ndarray
    held_out: numpy.ndarray
    held_out_species: numpy.ndarray


def fit():
    data, species = read_data()
    split = train_test_split(data, species, test_size=60, stratify=species, random_state=SEED)
    train, held_out, train_species, held_out_species = split
    model = LogisticRegression(C=1.0, max_iter=10_000, tol=1e-10).fit(train, train_species)
    return Fit(model, train, held_out, held_out_species)


def main():
    fitted = fit()
    model, held_out, held_out_species = fitted.model, fitted.held_out, fitted.held_out_species
    write_json(
        "src/demo/coefficients.json",
        {
            "fitted_with": f"scikit-learn {sklearn.__version__}, LogisticRegression(C=1.0)",
            "training_rows": len(fitted.train),
            "held_out_rows": len(held_out),
            "held_out_accuracy": model.score(held_out, held_out_species),
            "features": FEATURES,
            "labels": model.classes_.tolist(),
            "coefficients": model.coef_.tolist(),
            "intercepts": model.intercept_.tolist(),
        },
    )
    write_json(
        "src/demo/vectors.json",
        [
            {"features": row.tolist(), "label": label, "probabilities": probabilities.tolist()}
            for row, label, probabilities in zip(held_out, model.predict(held_out), model.predict_proba(held_out))
        ],
    )
    lines = [json.dumps(line, separators=(",", ":")) for line in traffic(held_out, held_out_species)]
    (ROOT / "scenarios" / "traffic" / "iris.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes the recorded requests for the demo models under scenarios/traffic (iris.jsonl comes from
fit_demo_model.py). Deterministic: the same files each time."""

import json
import math
import pathlib
import random

FOLDER = pathlib.Path(__file__).parent.parent / "scenarios" / "traffic"
WORDS = """alert batch budget canary churn cluster cohort cost dataset drift engine error feature forecast gateway
gradient index label latency ledger matrix metric model monitor pipeline policy prompt quantile queue ranking recall
release replica report request rollout sample schema score search shard signal stream sweep token trace traffic vector
window""".split()


def write(name, lines):
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (FOLDER / f"{name}.jsonl").write_text(text)


def request(dice, path, body, **more):
    headers = {"content-type": "application/json", "x-user-id": f"u{dice.randrange(400):03}"}
    headers.update(more.pop("headers", {}))
    return {"method": "POST", "path": path, "headers": headers, "body": body, **more}


def credit(dice):
    for _ in range(600):
        group = dice.choice("ab")
        age = dice.randint(20, 70)
        income = round(dice.gauss(52 if group == "a" else 47, 14), 1)
        debt = round(abs(dice.gauss(10, 6)), 1)
        logit = 0.08 * (income - 45) - 0.12 * (debt - 10) + 0.01 * (age - 40)
        repaid = dice.random() < 1 / (1 + math.exp(-2.5 * logit))
        body = {"instances": [{"age": age, "income": income, "debt": debt, "group": group}]}
        label = "approve" if repaid else "decline"
        yield request(dice, "/v1/models/credit:predict", body, headers={"x-group": group}, label=label)


def houses(dice):
    for _ in range(400):
        row = [dice.randint(1, 6), round(dice.uniform(30, 200), 1), dice.randint(0, 90)]
        yield request(dice, "/invocations", {"dataframe_split": {"columns": ["rooms", "area", "age"], "data": [row]}})


def sentence(dice, least, most):
    return " ".join(dice.choices(WORDS, k=dice.randint(least, most)))


def chat(dice):
    for i in range(300):
        body = {"model": "canard-chat", "messages": [{"role": "user", "content": sentence(dice, 4, 12)}]}
        if i % 4:
            body["stream"] = True
        yield request(dice, "/v1/chat/completions", body)


def tools(dice):
    function = {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
    for line in chat(dice):
        line["body"]["tools"] = [{"type": "function", "function": function}]
        yield line


def embeddings(dice):
    for _ in range(200):
        texts = [sentence(dice, 3, 9) for _ in range(dice.randint(1, 3))]
        yield request(dice, "/v1/embeddings", {"model": "canard-embed", "input": texts})


def rerank(dice):
    for _ in range(200):
        body = {"model": "canard-rerank", "query": sentence(dice, 2, 5)}
        body["documents"] = [sentence(dice, 5, 12) for _ in range(10)]
        yield request(dice, "/v2/rerank", body)


def feedback(dice):
    for i in range(400):
        body = {"request_id": f"r{i:04}", "label": "positive" if dice.random() < 0.6 else "negative",
                "labelled_at": f"2026-01-01T{i % 24:02}:{i % 60:02}:00Z"}
        yield request(dice, "/feedback", body)


for make in (credit, houses, chat, tools, embeddings, rerank, feedback):
    write(make.__name__, make(random.Random(make.__name__)))

#!/usr/bin/env python3
"""Writes tests/vectors/draw.json: the decisions of src/draw.rs, computed by another implementation.

    pip install xxhash && python3 scripts/draw_vectors.py > tests/vectors/draw.json

Numbers are texts, because not every JSON parser reads 64-bit integers and doubles to the last bit.
"""

import json
import math

import xxhash

SHARES = [0.0, 0.001, 0.1, 0.25, 1 / 3, 0.5, 0.9, 0.999, 1.0]


def key(seed, rule):
    return xxhash.xxh3_64_intdigest(rule.encode(), seed=seed)


def unit(data):
    return xxhash.xxh3_64_intdigest(data, seed=0)


def draw(key_, unit_, counter):
    data = unit_.to_bytes(8, "little") + counter.to_bytes(8, "little")
    return xxhash.xxh3_64_intdigest(data, seed=key_)


def admits(share, bits):
    return share >= 1 or bits < math.floor(share * 2**64)


def uniform(bits):
    return ((bits >> 12) + 0.5) * 2.0**-52


def decisions():
    """Who is treated and whose request fails in a whole scenario; see tests/it/conformance."""
    exposure, rule = key(7, "exposure/serving"), key(7, "broken/0/error")
    requests = []
    for i in range(60):
        user, request = f"u{i % 20}", f"r{i}"
        treated = admits(0.5, draw(exposure, unit(user.encode()), 0))
        acts = admits(0.5, draw(rule, unit(request.encode()), 0))
        requests.append({"user": user, "request": request, "treated": treated, "fails": treated and acts})
    return requests


def main():
    seeds = [0, 1, 7, 2**63, 2**64 - 1]
    rules = ["exposure/serving", "confused/0/mislabel", "", "übung/0/latency", "x" * 300]
    units = [b"", b"user-1", "jürgen".encode(), b"\x00\xff", b"4bf92f3577b34da6a3ce929d0e0e4736" * 10]
    counters = [0, 1, 1 << 32, (1 << 32) | 5, 2**64 - 1]
    vectors = []
    for i, seed in enumerate(seeds):
        for j, rule in enumerate(rules):
            for k, data in enumerate(units):
                counter = counters[(i + j + k) % len(counters)]
                key_, unit_ = key(seed, rule), unit(data)
                bits = draw(key_, unit_, counter)
                vectors.append({
                    "seed": f"{seed:016x}",
                    "rule": rule,
                    "unit_bytes": data.hex(),
                    "counter": f"{counter:016x}",
                    "key": f"{key_:016x}",
                    "unit": f"{unit_:016x}",
                    "draw": f"{bits:016x}",
                    "uniform": repr(uniform(bits)),
                    "admitted_by": [repr(share) for share in SHARES if admits(share, bits)],
                })
    shares = [repr(share) for share in SHARES]
    everything = {"shares": shares, "vectors": vectors, "decisions": decisions()}
    print(json.dumps(everything, indent=1, ensure_ascii=False))


main()

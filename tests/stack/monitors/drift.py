"""Reads a payload log with Evidently: drift of the predicted classes of each arm after a moment, against everybody
before it. Arguments: the log, the moment in seconds since 1970. Prints one line of JSON."""

import json
import random
import sys
import warnings
from datetime import datetime

warnings.filterwarnings("ignore")

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift

RESPONSE = "org.kubeflow.serving.inference.response"


def labels(events):
    """Predicted classes, drawn anew in proportion to the weights of their events."""
    rows = [(row["label"], event["canardweight"]) for event in events for row in event["data"]["predictions"]]
    names, weights = [label for label, _ in rows], [weight for _, weight in rows]
    return random.Random(7).choices(names, weights, k=len(names))


def drift(current, reference):
    definition = DataDefinition(categorical_columns=["label"])
    frames = [Dataset.from_pandas(pd.DataFrame({"label": labels(side)}), definition) for side in (current, reference)]
    snapshot = Report([ValueDrift(column="label", method="psi", threshold=0.1)]).run(*frames).dict()
    return float(snapshot["metrics"][0]["value"])


events = [json.loads(line) for line in open(sys.argv[1])]
answers = [event for event in events if event["type"] == RESPONSE]
since = [datetime.fromisoformat(event["time"]).timestamp() >= float(sys.argv[2]) for event in answers]
before = [event for event, after in zip(answers, since) if not after]
arms = {
    arm: [event for event, after in zip(answers, since) if after and event.get("canardarm") == arm]
    for arm in ("treated", "control")
}
told = {arm: {"events": len(answers), "psi": drift(answers, before)} for arm, answers in arms.items()}
print(json.dumps({"before": len(before), **told}))

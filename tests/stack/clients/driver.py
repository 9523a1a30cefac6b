"""What the clients have in common: operations come as lines of JSON, outcomes leave as lines of JSON.

    {"do": "chat", ...arguments} -> {"value": ..., "seconds": 0.01} or {"error": {...}, "seconds": 0.01}

An error is described as the caller of the library meets it: the class, what it inherits from, the HTTP or gRPC
status, the message, and `partial`, what had arrived of a stream before it.
"""

import json
import math
import sys
import time


def plain(value):
    """A value that any JSON parser takes: numbers that JSON lacks become words."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(exclude_unset=True))
    if hasattr(value, "item") and not isinstance(value, (int, float, str)):
        return plain(value.item())
    return value


def name(kind):
    return f"{kind.__module__.split('.')[0]}.{kind.__qualname__}"


def described(error):
    status = getattr(error, "status_code", None)
    if callable(getattr(error, "code", None)):
        status = getattr(error.code(), "name", error.code())
    elif callable(getattr(error, "status", None)):
        status = error.status()
    cause = error.__cause__ or error.__context__
    return {
        "type": name(type(error)),
        "bases": [name(base) for base in type(error).__mro__[1:-3]],
        "status": plain(status),
        "message": str(error)[:500],
        "cause": cause and name(type(cause)),
        "partial": plain(getattr(error, "partial", None)),
    }


class Stream:
    """Collects what arrives, so that an error can tell how far the stream had come."""

    def __init__(self):
        self.parts = []

    def __enter__(self):
        return self.parts

    def __exit__(self, kind, error, trace):
        if isinstance(error, Exception):
            error.partial = "".join(map(str, self.parts))


def serve(operations):
    for line in sys.stdin:
        arguments = json.loads(line)
        operation = operations[arguments.pop("do")]
        started = time.monotonic()
        try:
            outcome = {"value": plain(operation(**arguments))}
        except Exception as error:  # noqa: BLE001: whatever the caller would have to catch
            outcome = {"error": described(error)}
        outcome["seconds"] = time.monotonic() - started
        print(json.dumps(outcome), flush=True)

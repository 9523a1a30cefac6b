"""A server that speaks what no installable server speaks: faithful_server.py PORT.

Ollama (chat, generate, embed), Cohere rerank, OpenAI Responses and base64 embeddings, TGI, TEI and TensorFlow
Serving's REST. It follows the published protocols to the letter; what it says is made up, and always the same.
"""

import base64
import json
import struct
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import iris

CREATED = "2026-01-02T03:04:05.678901Z"
UNIX = 1767323045
TEXT = "There are 1234 ducks in the pond, naïvely counted: 🦆."


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(status)
        self.status, self.body = status, body


def words(text):
    parts = text.split(" ")
    return [part + " " for part in parts[:-1]] + parts[-1:]


def vector(text):
    return [((len(text) * 7 + i * 3) % 11) / 8 - 0.5 for i in range(8)]


def texts(value):
    return [value] if isinstance(value, str) else value


def known(body):
    if body.get("model") == "nobody":
        raise Refused(404, {"error": "model 'nobody' not found"})


# Ollama. Durations are nanoseconds.
FINAL = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 5043500667,
    "load_duration": 5025959,
    "prompt_eval_count": 26,
    "prompt_eval_duration": 325953000,
    "eval_count": 12,
    "eval_duration": 4709213000,
}


def ollama(body, part):
    known(body)
    head = {"model": body["model"], "created_at": CREATED}
    if body.get("stream", True):
        return [*(head | part(word) | {"done": False} for word in words(TEXT)), head | part("") | FINAL]
    return head | part(TEXT) | FINAL


def ollama_chat(body):
    return ollama(body, lambda text: {"message": {"role": "assistant", "content": text}})


def ollama_generate(body):
    return ollama(body, lambda text: {"response": text})


def ollama_embed(body):
    known(body)
    answer = {"model": body["model"], "embeddings": [vector(text) for text in texts(body["input"])]}
    return answer | {"total_duration": 14143917, "load_duration": 1019500, "prompt_eval_count": 8}


def rerank(body):
    """Cohere: a share of the query's words, best first."""
    if not body.get("documents"):
        raise Refused(400, {"id": "e1", "message": "invalid request: documents must not be empty"})
    asked = set(body["query"].lower().split())
    score = lambda text: 0.05 + 0.9 * len(asked & set(text.lower().split())) / len(asked) / (1 + len(text) / 100)  # noqa: E731
    scored = [{"index": i, "relevance_score": round(score(text), 7)} for i, text in enumerate(body["documents"])]
    scored.sort(key=lambda result: -result["relevance_score"])
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    return {"id": "07734bd2-2473-4f07-94e1-0d9f0e6843cf", "results": scored[: body.get("top_n")], "meta": meta}


def embeddings(body):
    def coded(values):
        return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()

    code = coded if body.get("encoding_format") == "base64" else list
    data = [
        {"object": "embedding", "index": i, "embedding": code(vector(text))} for i, text in enumerate(texts(body["input"]))
    ]
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def part(text):
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def item(status, content):
    return {"id": "msg_1", "type": "message", "status": status, "role": "assistant", "content": content}


def response(body, status, output, usage=None):
    fixed = {"error": None, "incomplete_details": None, "instructions": None, "metadata": {}, "temperature": 1.0}
    fixed |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "top_p": 1.0}
    head = {"id": "resp_1", "object": "response", "created_at": UNIX, "status": status, "model": body["model"]}
    return head | fixed | {"output": output, "usage": usage}


USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 21,
}


def responses(body):
    done = response(body, "completed", [item("completed", [part(TEXT)])], USAGE)
    if not body.get("stream"):
        return done
    begun = response(body, "in_progress", [])
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": item("in_progress", [])},
        {"type": "response.content_part.added", **place, "part": part("")},
        *({"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in words(TEXT)),
        {"type": "response.output_text.done", **place, "text": TEXT, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part(TEXT)},
        {"type": "response.output_item.done", "output_index": 0, "item": item("completed", [part(TEXT)])},
        {"type": "response.completed", "response": done},
    ]
    return Events([(event["type"], event | {"sequence_number": i}) for i, event in enumerate(events)])


class Events(list):
    """Server-sent events: (name or None, data)."""


def tgi_token(index, text):
    return {"id": 100 + index, "text": text, "logprob": -0.125 * (index + 1), "special": False}


def tgi(body, stream=False):
    parts = words(TEXT)
    details = {"finish_reason": "eos_token", "generated_tokens": len(parts), "seed": None}
    if not (stream or body.get("stream")):
        tokens = [tgi_token(i, word) for i, word in enumerate(parts)]
        return {"generated_text": TEXT, "details": details | {"prefill": [], "tokens": tokens}}
    last = len(parts) - 1
    return Events(
        (None, {
            "index": i + 1,
            "token": tgi_token(i, word),
            "generated_text": TEXT if i == last else None,
            "details": details | {"input_length": 4} if i == last else None,
        })
        for i, word in enumerate(parts)
    )


def tei_rerank(body):
    results = rerank({"query": body["query"], "documents": body["texts"]})["results"]
    return [{"index": result["index"], "score": result["relevance_score"]} for result in results]


def tei_predict(body):
    return [{"label": "POSITIVE", "score": 0.75}, {"label": "NEGATIVE", "score": 0.25}]


def tf_predict(body):
    if "instances" in body:
        return {"predictions": iris.probabilities(body["instances"])}
    return {"outputs": iris.probabilities(body["inputs"])}


def tf_classify(body):
    rows = iris.probabilities([list(example.values()) for example in body["examples"]])
    return {"result": [list(map(list, zip(iris.LABELS, row))) for row in rows]}


ROUTES = {
    "/api/chat": ollama_chat,
    "/api/generate": ollama_generate,
    "/api/embed": ollama_embed,
    "/v2/rerank": rerank,
    "/v1/embeddings": embeddings,
    "/v1/responses": responses,
    "/generate": tgi,
    "/generate_stream": lambda body: tgi(body, stream=True),
    "/embed": lambda body: [vector(text) for text in texts(body["inputs"])],
    "/rerank": tei_rerank,
    "/predict": tei_predict,
    "/v1/models/iris:predict": tf_predict,
    "/v1/models/iris:classify": tf_classify,
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "faithful", ""

    def do_GET(self):
        self.answer(200, "application/json", json.dumps({"ready": self.path == "/ready"}))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path not in ROUTES:
            return self.answer(404, "text/plain", "404 page not found")
        try:
            told = ROUTES[self.path](body)
        except Refused as refused:
            return self.answer(refused.status, "application/json", json.dumps(refused.body))
        except (KeyError, ValueError) as error:
            return self.answer(400, "application/json", json.dumps({"error": str(error)}))
        if isinstance(told, Events):
            lines = [
                (f"event: {name}\n" if name else "") + f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
                for name, data in told
            ]
            return self.stream("text/event-stream", lines)
        if isinstance(told, list) and self.path.startswith("/api/"):
            return self.stream("application/x-ndjson", [json.dumps(line, ensure_ascii=False) + "\n" for line in told])
        self.answer(200, "application/json", json.dumps(told, ensure_ascii=False))

    def answer(self, status, kind, text):
        data = text.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self, kind, lines):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for line in lines:
            data = line.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
            time.sleep(0.002)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # Nagle's algorithm would hold back the second of two small chunks.
    disable_nagle_algorithm = True


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()

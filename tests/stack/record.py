"""Records fixtures: what real servers really send, for the codecs to be tested against.

    record.py FOLDER NAME=HOST:PORT... [NAME-grpc=HOST:PORT...]

Each case becomes FOLDER/NAME/CASE/ with request.head, request.body, response.head and response.body: the raw
bytes as they stood on the wire, but for the transfer coding (chunks are joined). Bodies keep their content
coding. Where a case is gRPC, a body is its length-prefixed messages one after the other, a head lists the
method or status and the metadata, and response.trailers holds grpc-status and what came with it.
"""

import json
import shutil
import socket
import struct
import sys
from pathlib import Path

TIMEOUT_S = 60


class Recorder:
    def __init__(self, folder, addresses):
        self.folder, self.addresses = Path(folder), addresses

    def has(self, server):
        return server in self.addresses

    def start(self, server):
        name = server.removesuffix("-grpc")
        if not server.endswith("-grpc"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def write(self, server, case, **parts):
        folder = self.folder / server / case
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in parts.items():
            (folder / name.replace("_", ".")).write_bytes(data)

    def http(self, server, case, path, body, headers=None, method="POST"):
        """Sends one request and keeps both messages."""
        if isinstance(body, (dict, list)):
            body = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        head = {"host": "model.test", "content-type": "application/json", "content-length": str(len(body))}
        head |= {"connection": "close"} | (headers or {})
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items() if value)]
        request = ("\r\n".join(lines) + "\r\n\r\n").encode()
        host, port = self.addresses[server].split(":")
        with socket.create_connection((host, int(port)), TIMEOUT_S) as connection:
            connection.sendall(request + body)
            raw = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, rest = raw.partition(b"\r\n\r\n")
        if b"\ntransfer-encoding: chunked" in head.lower():
            rest = joined(rest)
        answer = head + b"\r\n\r\n"
        self.write(server, case, request_head=request, request_body=body, response_head=answer, response_body=rest)
        status = head.split(b"\r\n")[0].decode()
        print(f"{server}/{case}: {status}, {len(rest)} bytes")
        return rest

    def grpc(self, server, case, method, requests, streaming=False, metadata=(), compression=None):
        """Calls a method with serialized messages and keeps all messages, metadata and the status."""
        import grpc

        plain = {"request_serializer": bytes, "response_deserializer": bytes}
        trailers, initial, answers = (), (), []
        with grpc.insecure_channel(self.addresses[f"{server}-grpc"]) as channel:
            try:
                if streaming:
                    call = channel.stream_stream(method, **plain)(iter(requests), metadata=metadata, timeout=TIMEOUT_S)
                    for answer in call:
                        answers.append(answer)
                else:
                    unary = channel.unary_unary(method, **plain)
                    answer, call = unary.with_call(
                        requests[0], metadata=metadata, timeout=TIMEOUT_S, compression=compression
                    )
                    answers = [answer]
                code, details = call.code(), call.details()
            except grpc.RpcError as error:
                call, code, details = error, error.code(), error.details()
            initial, trailers = call.initial_metadata() or (), call.trailing_metadata() or ()
        self.write(
            server,
            case,
            request_head=lines([(":path", method), ("content-type", "application/grpc"), *metadata]),
            request_body=framed(requests),
            response_head=lines([(":status", "200"), *initial]),
            response_body=framed(answers),
            response_trailers=lines([("grpc-status", code.value[0]), ("grpc-message", details or ""), *trailers]),
        )
        print(f"{server}/{case}: {code.name}, {sum(map(len, answers))} bytes")


def joined(chunks):
    """A body without its chunked transfer coding."""
    body = b""
    while chunks:
        size, _, chunks = chunks.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if not length:
            break
        body, chunks = body + chunks[:length], chunks[length + 2 :]
    return body


def framed(messages):
    return b"".join(struct.pack(">BI", 0, len(message)) + message for message in messages)


def lines(pairs):
    text = lambda value: value if isinstance(value, bytes) else str(value).encode()  # noqa: E731
    return b"".join(text(name) + b": " + text(value) + b"\r\n" for name, value in pairs)


FLOWERS = [[5.1, 3.5, 1.4, 0.2], [6.1, 2.8, 4.7, 1.2], [6.9, 3.1, 5.4, 2.1]]
V2 = "/v2/models/iris/infer"


def tensor(rows, name="features", datatype="FP64"):
    return {"name": name, "shape": [len(rows), len(rows[0])], "datatype": datatype, "data": sum(rows, [])}


def mlserver(r):
    def ask(case, rows, path=V2, headers=None, **more):
        r.http("mlserver", case, path, {"id": "1", "inputs": [tensor(rows)]} | more, headers)

    ask("success", FLOWERS[:1])
    ask("batch", FLOWERS)
    ask("probabilities", FLOWERS, outputs=[{"name": "predict_proba"}])
    ask("both", FLOWERS, outputs=[{"name": "predict"}, {"name": "predict_proba"}])
    ask("version", FLOWERS[:1], path="/v2/models/iris/versions/1/infer")
    ask("wrong-shape", [[1.0, 2.0]])
    ask("unknown-model", FLOWERS[:1], path="/v2/models/nobody/infer")
    ask("gzip", FLOWERS * 40, headers={"accept-encoding": "gzip"}, outputs=[{"name": "predict_proba"}])
    r.http("mlserver", "malformed", V2, b'{"inputs": [')
    r.http("mlserver", "ready", "/v2/models/iris/ready", b"", method="GET")
    r.http("mlserver", "metadata", "/v2/models/iris", b"", method="GET")


def kserve(r):
    v1 = "/v1/models/iris:predict"
    r.http("kserve", "v1-success", v1, {"instances": FLOWERS[:1]})
    r.http("kserve", "v1-batch", v1, {"instances": FLOWERS})
    r.http("kserve", "v1-probabilities", v1, {"instances": FLOWERS, "parameters": {"probabilities": True}})
    r.http("kserve", "v1-wrong-shape", v1, {"instances": [[1.0, 2.0]]})
    r.http("kserve", "v1-unknown-model", "/v1/models/nobody:predict", {"instances": FLOWERS[:1]})
    r.http("kserve", "v1-malformed", v1, b'{"instances": [')
    r.http("kserve", "v2-success", V2, {"id": "1", "inputs": [tensor(FLOWERS[:1])]})
    r.http("kserve", "v2-batch", V2, {"inputs": [tensor(FLOWERS)]})
    r.http("kserve", "v2-wrong-shape", V2, {"inputs": [tensor([[1.0, 2.0]])]})
    r.http("kserve", "v2-unknown-model", "/v2/models/nobody/infer", {"inputs": [tensor(FLOWERS)]})
    r.http("kserve", "v2-malformed", V2, b'{"inputs": [')
    binary(r, "kserve", "v2-binary", "features", FLOWERS, [("label", True), ("probabilities", True)], datatype="FP64")


def mlflow(r):
    r.http("mlflow", "success", "/invocations", {"inputs": FLOWERS[:1]})
    r.http("mlflow", "batch", "/invocations", {"inputs": FLOWERS})
    split = {"columns": ["a", "b", "c", "d"], "data": FLOWERS}
    r.http("mlflow", "dataframe-split", "/invocations", {"dataframe_split": split})
    r.http("mlflow", "scores", "/invocations", {"inputs": FLOWERS, "params": {"scores": True}})
    r.http("mlflow", "nan", "/invocations", {"inputs": FLOWERS[:2], "params": {"nan": True}})
    csv = "a,b,c,d\n" + "\n".join(",".join(map(str, row)) for row in FLOWERS) + "\n"
    r.http("mlflow", "csv", "/invocations", csv.encode(), {"content-type": "text/csv"})
    r.http("mlflow", "unknown-key", "/invocations", {"rows": FLOWERS})
    r.http("mlflow", "malformed", "/invocations", b'{"inputs": [')


def bentoml(r):
    r.http("bentoml", "success", "/classify", {"features": FLOWERS[:1]})
    r.http("bentoml", "batch", "/classify", {"features": FLOWERS})
    r.http("bentoml", "scores", "/scores", {"features": FLOWERS})
    r.http("bentoml", "stream", "/tell", {"flowers": 7})
    r.http("bentoml", "wrong-shape", "/classify", {"features": [[1.0, 2.0]]})
    r.http("bentoml", "wrong-type", "/classify", {"features": "all of them"})
    r.http("bentoml", "unknown-api", "/nobody", {"features": FLOWERS})


def litserve(r):
    r.http("litserve", "success", "/predict", {"features": FLOWERS[:1]})
    r.http("litserve", "batch", "/predict", {"features": FLOWERS})
    r.http("litserve", "stream", "/words", {"words": 6})
    r.http("litserve", "wrong-shape", "/predict", {"features": [[1.0, 2.0]]})
    r.http("litserve", "unknown-route", "/nobody", {"features": FLOWERS})
    chat = {"model": "lit", "messages": [{"role": "user", "content": "hello ünïcode 🦆"}]}
    r.http("litserve", "openai-chat", "/v1/chat/completions", chat)
    r.http("litserve", "openai-chat-stream", "/v1/chat/completions", chat | {"stream": True})
    failing = chat | {"stream": True, "messages": [{"role": "user", "content": "fail"}]}
    r.http("litserve", "openai-chat-stream-error", "/v1/chat/completions", failing)
    r.http("litserve", "openai-chat-invalid", "/v1/chat/completions", {"model": "lit"})
    texts = {"model": "lit", "input": ["one", "three"]}
    r.http("litserve", "openai-embeddings", "/v1/embeddings", texts)


def fakellm(r):
    user = lambda text: {"messages": [{"role": "user", "content": text}]}  # noqa: E731
    openai, anthropic = {"model": "gpt-4o-mini"}, {"model": "claude-sonnet-4-5", "max_tokens": 64}
    for api, path, base in [("openai", "/v1/chat/completions", openai), ("anthropic", "/v1/messages", anthropic)]:
        for case, text in [("success", "hello"), ("number", "how many ducks"), ("tool", "weather?")]:
            r.http("fakellm", f"{api}-{case}", path, base | user(text))
            r.http("fakellm", f"{api}-{case}-stream", path, base | user(text) | {"stream": True})
        for case in ("rate_limit", "overloaded"):
            r.http("fakellm", f"{api}-{case}", path, base | user("hello"), {"x-test-scenario": case})


def triton(r):
    rows = [[float(x) for x in row] for row in FLOWERS]
    f32 = [tensor(rows, datatype="FP32")]
    triton_json(r, f32)
    triton_binary(r, rows)
    prompt = {"text_input": "hello ünïcode"}
    r.http("triton", "generate", "/v2/models/text/generate", prompt)
    r.http("triton", "generate-stream", "/v2/models/stream/generate_stream", prompt)
    r.http("triton", "generate-stream-error", "/v2/models/stream/generate_stream", {"nothing": 1})


def triton_json(r, inputs):
    ask = lambda case, path=V2, headers=None, **more: r.http("triton", case, path, more, headers)  # noqa: E731
    ask("json", id="1", inputs=inputs)
    ask("json-one-output", inputs=inputs, outputs=[{"name": "probabilities"}])
    top = {"name": "probabilities", "parameters": {"classification": 2}}
    ask("classification", inputs=inputs, outputs=[top])
    ask("wrong-shape", inputs=[tensor([[1.0, 2.0]], datatype="FP32")])
    ask("unknown-model", path="/v2/models/nobody/infer", inputs=inputs)
    ask("unknown-output", inputs=inputs, outputs=[{"name": "nothing"}])
    many = [tensor(FLOWERS * 5, datatype="FP32")]
    ask("json-gzip", headers={"accept-encoding": "gzip"}, inputs=many)
    ask("json-deflate", headers={"accept-encoding": "deflate"}, inputs=many)
    x = [tensor([[1.0], [-0.5]], name="x", datatype="FP32")]
    safe = [{"name": name} for name in DATATYPES if name not in ("fp16", "u64")]
    ask("json-datatypes", path="/v2/models/datatypes/infer", inputs=x, outputs=safe)
    ask("json-fp16-refused", path="/v2/models/datatypes/infer", inputs=x, outputs=[{"name": "fp16"}])
    r.http("triton", "malformed", V2, b'{"inputs": [')
    r.http("triton", "metadata", "/v2/models/iris", b"", method="GET")
    r.http("triton", "ready", "/v2/models/iris/ready", b"", method="GET")


DATATYPES = ["bool", "u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "fp16", "fp32", "fp64", "bytes"]


def binary(r, server, case, name, rows, outputs, model="iris", datatype="FP32", headers=None):
    """Asks as the real client does, with binary tensors."""
    import numpy
    import tritonclient.http as http

    array = numpy.array(rows, dtype=numpy.float32 if datatype == "FP32" else numpy.float64)
    given = http.InferInput(name, list(array.shape), datatype)
    given.set_data_from_numpy(array, binary_data=True)
    asked = [http.InferRequestedOutput(*output) for output in outputs] if outputs else None
    body, length = http.InferenceServerClient.generate_request_body([given], outputs=asked, request_id="1")
    head = {"content-type": "application/octet-stream", "inference-header-content-length": str(length)}
    r.http(server, case, f"/v2/models/{model}/infer", body, head | (headers or {}))


def triton_binary(r, rows):
    ask = lambda *case, **how: binary(r, "triton", *case, **how)  # noqa: E731
    flowers, x = rows, [[1.0], [-0.5]]
    both = [("label", True), ("probabilities", True)]
    ask("binary", "features", flowers, both)
    ask("binary-all", "features", flowers, None)
    ask("binary-mixed", "features", flowers, [("label", False), ("probabilities", True)])
    ask("binary-in-json-out", "features", flowers, [("label", False), ("probabilities", False)])
    ask("binary-datatypes", "x", x, [(name, True) for name in DATATYPES], model="datatypes")
    ask("binary-classification", "features", flowers, [("probabilities", True, 2)])
    ask("binary-gzip", "features", flowers * 5, both, headers={"accept-encoding": "gzip"})
    ask("binary-deflate", "features", flowers * 5, both, headers={"accept-encoding": "deflate"})
    ask("binary-wrong-shape", "features", [[1.0, 2.0]], both)


INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"


def infer_request(rows, raw, model="iris", name="features", datatype="FP32", outputs=(), **parameters):
    import numpy
    from tritonclient.grpc import service_pb2

    request = service_pb2.ModelInferRequest(model_name=model, id="1")
    given = request.inputs.add(name=name, datatype=datatype, shape=[len(rows), len(rows[0])])
    flat = sum(rows, [])
    if raw:
        request.raw_input_contents.append(numpy.array(flat, dtype="<f4" if datatype == "FP32" else "<f8").tobytes())
    else:
        contents = given.contents.fp32_contents if datatype == "FP32" else given.contents.fp64_contents
        contents.extend(flat)
    for output in outputs:
        asked = request.outputs.add(name=output)
        for key, value in parameters.items():
            asked.parameters[key].int64_param = value
    return request.SerializeToString()


def triton_grpc(r):
    from tritonclient.grpc import service_pb2

    one, unknown = infer_request(FLOWERS, True), infer_request(FLOWERS, True, model="nobody")
    r.grpc("triton", "grpc-raw", INFER, [one])
    r.grpc("triton", "grpc-typed-in", INFER, [infer_request(FLOWERS, False)])
    top = infer_request(FLOWERS, True, outputs=["probabilities"], classification=2)
    r.grpc("triton", "grpc-classification", INFER, [top])
    x = infer_request([[1.0], [-0.5]], True, model="datatypes", name="x", outputs=DATATYPES)
    r.grpc("triton", "grpc-datatypes", INFER, [x])
    r.grpc("triton", "grpc-wrong-shape", INFER, [infer_request([[1.0, 2.0]], True)])
    r.grpc("triton", "grpc-unknown-model", INFER, [unknown])
    r.grpc("triton", "grpc-stream", STREAM, [one, infer_request(FLOWERS[:1], True)], streaming=True)
    text = service_pb2.ModelInferRequest(model_name="stream", id="2")
    text.inputs.add(name="text_input", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"hello")
    r.grpc("triton", "grpc-stream-decoupled", STREAM, [text.SerializeToString()], streaming=True)
    r.grpc("triton", "grpc-stream-error", STREAM, [one, unknown], streaming=True)


def mlserver_grpc(r):
    typed = infer_request(FLOWERS, False, datatype="FP64")
    r.grpc("mlserver", "grpc-typed", INFER, [typed])
    r.grpc("mlserver", "grpc-raw", INFER, [infer_request(FLOWERS, True, datatype="FP64")])
    both = infer_request(FLOWERS, False, datatype="FP64", outputs=["predict", "predict_proba"])
    r.grpc("mlserver", "grpc-both", INFER, [both])
    both = infer_request(FLOWERS, True, datatype="FP64", outputs=["predict_proba"])
    r.grpc("mlserver", "grpc-raw-probabilities", INFER, [both])
    r.grpc("mlserver", "grpc-wrong-shape", INFER, [infer_request([[1.0, 2.0]], False, datatype="FP64")])
    r.grpc("mlserver", "grpc-unknown-model", INFER, [infer_request(FLOWERS, False, model="nobody", datatype="FP64")])


def kserve_grpc(r):
    r.grpc("kserve", "grpc-typed", INFER, [infer_request(FLOWERS, False, datatype="FP64")])
    r.grpc("kserve", "grpc-raw", INFER, [infer_request(FLOWERS, True, datatype="FP64")])
    r.grpc("kserve", "grpc-wrong-shape", INFER, [infer_request([[1.0, 2.0]], False, datatype="FP64")])
    r.grpc("kserve", "grpc-unknown-model", INFER, [infer_request(FLOWERS, False, model="nobody", datatype="FP64")])


def faithful(r):
    ask = lambda case, path, **body: r.http("faithful", case, path, body)  # noqa: E731
    for api, body in [("chat", {"messages": [{"role": "user", "content": "hello"}]}), ("generate", {"prompt": "hello"})]:
        ask(f"ollama-{api}", f"/api/{api}", model="tiny", stream=False, **body)
        ask(f"ollama-{api}-stream", f"/api/{api}", model="tiny", **body)
        ask(f"ollama-{api}-unknown-model", f"/api/{api}", model="nobody", **body)
    ask("ollama-embed", "/api/embed", model="tiny", input=["one", "three"])
    documents = ["a pond", "ducks swim", "ducks quack at ducks"]
    ask("cohere-rerank", "/v2/rerank", model="rerank-v3.5", query="ducks", documents=documents)
    ask("cohere-rerank-invalid", "/v2/rerank", model="rerank-v3.5", query="ducks", documents=[])
    ask("openai-embeddings", "/v1/embeddings", model="embed", input=["one", "three"])
    ask("openai-embeddings-base64", "/v1/embeddings", model="embed", input=["one", "three"], encoding_format="base64")
    ask("openai-responses", "/v1/responses", model="gpt-4o-mini", input="hello")
    ask("openai-responses-stream", "/v1/responses", model="gpt-4o-mini", input="hello", stream=True)
    ask("tgi-generate", "/generate", inputs="hello", parameters={"details": True})
    ask("tgi-generate-stream", "/generate_stream", inputs="hello")
    ask("tei-embed", "/embed", inputs=["one", "three"])
    ask("tei-rerank", "/rerank", query="ducks", texts=documents)
    ask("tei-predict", "/predict", inputs="what a duck")
    ask("tf-serving-row", "/v1/models/iris:predict", instances=FLOWERS)
    ask("tf-serving-columnar", "/v1/models/iris:predict", inputs=FLOWERS)
    examples = [dict(zip("abcd", flower)) for flower in FLOWERS]
    ask("tf-serving-classify", "/v1/models/iris:classify", examples=examples)


def llama(r):
    ask = lambda case, path, **body: r.http("llama", case, path, {"model": "random"} | body)  # noqa: E731
    user = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 12}
    for suffix, more in [("", {}), ("-stream", {"stream": True})]:
        chat = "/v1/chat/completions"
        ask(f"openai-chat{suffix}", chat, **user, **more)
        ask(f"openai-logprobs{suffix}", chat, **user, **more, logprobs=True, top_logprobs=2, n_predict=4)
        ask(f"openai-completions{suffix}", "/v1/completions", prompt="the duck", max_tokens=12, **more)
        ask(f"openai-responses{suffix}", "/v1/responses", input="hello", max_output_tokens=12, **more)
        ask(f"anthropic{suffix}", "/v1/messages", **user, **more)
    ask("openai-chat-stream-usage", chat, **user, stream=True, stream_options={"include_usage": True})
    ask("openai-chat-two", chat, **user, n=2, stream=True)
    ask("openai-embeddings", "/v1/embeddings", input=["one", "three"])
    ask("openai-embeddings-base64", "/v1/embeddings", input=["one", "three"], encoding_format="base64")
    ask("openai-chat-too-long", chat, messages=[{"role": "user", "content": "z" * 4000}])
    ask("openai-chat-invalid", chat, messages="hello")
    ask("unknown-route", "/v1/nobody")


SERVERS = [mlserver, mlserver_grpc, kserve, kserve_grpc, triton, triton_grpc, mlflow, bentoml, litserve, fakellm, llama, faithful]


def main():
    recorder = Recorder(sys.argv[1], dict(argument.split("=") for argument in sys.argv[2:]))
    for record in SERVERS:
        name = record.__name__.replace("_", "-")
        if recorder.has(name):
            recorder.start(name)
            record(recorder)


if __name__ == "__main__":
    main()

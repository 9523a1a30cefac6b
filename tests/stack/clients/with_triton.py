"""NVIDIA's Triton client, over HTTP and over gRPC; it speaks to every Open Inference Protocol server.

`grpc_bytes` calls a method without any generated code and gives the bytes, metadata and status as they came.
"""

import queue

import grpc
import numpy
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from driver import serve

NUMPY = {"FP32": numpy.float32, "FP64": numpy.float64}


def given(module, rows, name, datatype, binary):
    array = numpy.array(rows, dtype=NUMPY[datatype])
    tensor = module.InferInput(name, list(array.shape), datatype)
    if module is over_http:
        tensor.set_data_from_numpy(array, binary_data=binary)
    else:
        tensor.set_data_from_numpy(array)
    return tensor


def told(result, names):
    """Every output as the caller gets it: an array's values and its datatype."""
    answer = {}
    for name in names:
        array = result.as_numpy(name)
        answer[name] = None if array is None else array.tolist()
    return answer


def http(url, rows, outputs, model="iris", name="features", datatype="FP32", binary=True, classes=0, **how):
    host = url.removeprefix("http://")
    with over_http.InferenceServerClient(host, network_timeout=how.pop("timeout", 20)) as client:
        asked = [over_http.InferRequestedOutput(o, binary_data=binary, class_count=classes) for o in outputs]
        inputs = [given(over_http, rows, name, datatype, binary)]
        accepted = how.pop("accept", None)
        result = client.infer(
            model, inputs, outputs=asked, request_id="1", response_compression_algorithm=accepted, **how
        )
        return told(result, outputs)


def infer(url, rows, outputs, model="iris", name="features", datatype="FP32", classes=0, timeout=20, **how):
    with over_grpc.InferenceServerClient(url.removeprefix("http://")) as client:
        asked = [over_grpc.InferRequestedOutput(o, class_count=classes) for o in outputs]
        inputs = [given(over_grpc, rows, name, datatype, True)]
        result = client.infer(model, inputs, outputs=asked, request_id="1", client_timeout=timeout, **how)
        return told(result, outputs)


def stream(url, batches, outputs, models=("iris",), name="features", datatype="FP32", timeout=20):
    """Sends each batch down one stream; the answers in order, an error as its message."""
    answers = queue.Queue()
    with over_grpc.InferenceServerClient(url.removeprefix("http://")) as client:
        client.start_stream(lambda result, error: answers.put((result, error)), stream_timeout=timeout)
        got = []
        for index, rows in enumerate(batches):
            model = models[index % len(models)]
            client.async_stream_infer(model, [given(over_grpc, rows, name, datatype, True)], request_id=str(index))
            result, error = answers.get(timeout=timeout)
            got.append({"error": str(error)} if error else told(result, outputs))
        client.stop_stream()
        return got


def grpc_bytes(url, rows, model="iris", name="features", datatype="FP32", raw=True, stream=False, gzip=False):
    request = over_grpc.service_pb2.ModelInferRequest(model_name=model, id="1")
    tensor = request.inputs.add(name=name, datatype=datatype, shape=[len(rows), len(rows[0])])
    flat = numpy.array(rows, dtype=NUMPY[datatype])
    if raw:
        request.raw_input_contents.append(flat.tobytes())
    else:
        contents = tensor.contents.fp32_contents if datatype == "FP32" else tensor.contents.fp64_contents
        contents.extend(flat.reshape(-1).tolist())
    how = {"request_serializer": bytes, "response_deserializer": lambda message: message.hex()}
    compression = grpc.Compression.Gzip if gzip else None
    body, messages = request.SerializeToString(), []
    with grpc.insecure_channel(url.removeprefix("http://")) as channel:
        try:
            if stream:
                call = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer", **how)
                call = call(iter([body, body]), timeout=20, compression=compression)
                messages.extend(call)
            else:
                call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer", **how)
                message, call = call.with_call(body, timeout=20, compression=compression)
                messages.append(message)
        except grpc.RpcError as error:
            call = error
        return {
            "messages": messages,
            "code": call.code().name,
            "details": call.details(),
            "initial": sorted(map(list, call.initial_metadata() or ())),
            "trailing": sorted(map(list, call.trailing_metadata() or ())),
        }


if __name__ == "__main__":
    serve({"http": http, "grpc": infer, "stream": stream, "grpc_bytes": grpc_bytes})

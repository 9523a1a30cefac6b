"""Triton, as nvidia-pytriton ships it, with four models: triton_server.py HTTP_PORT GRPC_PORT METRICS_PORT."""

import signal
import sys

import numpy
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.models.model import Model
from pytriton.triton import Triton, TritonConfig

import iris

DATATYPES = {
    "bool": numpy.bool_,
    "u8": numpy.uint8,
    "u16": numpy.uint16,
    "u32": numpy.uint32,
    "u64": numpy.uint64,
    "i8": numpy.int8,
    "i16": numpy.int16,
    "i32": numpy.int32,
    "i64": numpy.int64,
    "fp16": numpy.float16,
    "fp32": numpy.float32,
    "fp64": numpy.float64,
}


# Triton's Python backend embeds an interpreter of an early 3.11, whose C lock lacks what the `multiprocessing` of
# a later 3.11 asks it for; the lock that is written in Python has it.
LOCK = b"""
import threading
if not hasattr(threading.RLock(), "_recursion_count"):
    threading.RLock = threading._PyRLock
"""


def proxy_files(model, original=Model.get_proxy_model_files):
    files = original(model)
    return {name: LOCK + text if name.endswith("/model.py") else text for name, text in files.items()}


Model.get_proxy_model_files = proxy_files


@batch
def classify(features):
    rows = features.tolist()
    names = numpy.array([[label.encode()] for label in iris.labels(rows)], dtype=object)
    return {"label": names, "probabilities": numpy.array(iris.probabilities(rows), dtype=numpy.float32)}


@batch
def every_datatype(x):
    """Each row holds x, 2x and 3x, in every datatype; as FP32 the last is a NaN."""
    rows = x.astype(numpy.float64) * numpy.array([1.0, 2.0, 3.0])
    answers = {name: rows.astype(datatype) for name, datatype in DATATYPES.items()}
    answers["fp32"][:, 2] = numpy.nan
    answers["fp32"][:, 1] = numpy.inf
    answers["bytes"] = numpy.array([[str(value).encode() for value in row] for row in rows], dtype=object)
    return answers


def said(requests):
    return requests[0].data["text_input"].reshape(-1)[0].decode()


def generate(requests):
    text = f"You said: {said(requests)}. The answer is 42."
    return [{"text_output": numpy.array([text.encode()], dtype=object)}]


def generate_stream(requests):
    for word in f"You said: {said(requests)}. The answer is 42.".split(" "):
        yield [{"text_output": numpy.array([f"{word} ".encode()], dtype=object)}]


def main(http, grpc, metrics):
    config = TritonConfig(
        http_address="127.0.0.1",
        grpc_address="127.0.0.1",
        metrics_address="127.0.0.1",
        http_port=http,
        grpc_port=grpc,
        metrics_port=metrics,
    )
    text = [Tensor(name="text_input", dtype=bytes, shape=(1,))], [Tensor(name="text_output", dtype=bytes, shape=(1,))]
    with Triton(config=config) as triton:
        batched = ModelConfig(max_batch_size=16, batcher=DynamicBatcher(max_queue_delay_microseconds=0))
        triton.bind(
            model_name="iris",
            infer_func=classify,
            inputs=[Tensor(name="features", dtype=numpy.float32, shape=(4,))],
            outputs=[
                Tensor(name="label", dtype=bytes, shape=(1,)),
                Tensor(name="probabilities", dtype=numpy.float32, shape=(3,)),
            ],
            config=batched,
            strict=False,
        )
        triton.bind(
            model_name="datatypes",
            infer_func=every_datatype,
            inputs=[Tensor(name="x", dtype=numpy.float32, shape=(1,))],
            outputs=[
                *(Tensor(name=name, dtype=datatype, shape=(3,)) for name, datatype in DATATYPES.items()),
                Tensor(name="bytes", dtype=bytes, shape=(3,)),
            ],
            config=batched,
            strict=False,
        )
        triton.bind(
            model_name="text",
            infer_func=generate,
            inputs=text[0],
            outputs=text[1],
            config=ModelConfig(batching=False),
            strict=False,
        )
        triton.bind(
            model_name="stream",
            infer_func=generate_stream,
            inputs=text[0],
            outputs=text[1],
            config=ModelConfig(batching=False, decoupled=True),
            strict=False,
        )
        triton.run()
        print("triton is up", flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))

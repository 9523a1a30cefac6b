"""KServe's Python server with the iris model: kserve_server.py HTTP_PORT GRPC_PORT."""

import sys

import numpy
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.utils.utils import generate_uuid

import iris


class Iris(Model):
    def load(self):
        self.ready = True
        return True

    def predict(self, payload, headers=None, response_headers=None):
        if not isinstance(payload, InferRequest):
            rows = payload["instances"]
            if payload.get("parameters", {}).get("probabilities"):
                return {"predictions": iris.probabilities(rows)}
            return {"predictions": iris.labels(rows)}
        rows = payload.inputs[0].as_numpy().tolist()
        label = InferOutput("label", [len(rows)], "INT64", parameters=None)
        label.set_data_from_numpy(numpy.array(iris.classes(rows)), binary_data=payload.use_binary_outputs)
        probabilities = InferOutput("probabilities", [len(rows), 3], "FP64", parameters=None)
        probabilities.set_data_from_numpy(numpy.array(iris.probabilities(rows)), binary_data=payload.use_binary_outputs)
        return InferResponse(
            payload.id or generate_uuid(),
            self.name,
            [label, probabilities],
            from_grpc=payload.from_grpc,
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )


if __name__ == "__main__":
    http, grpc = sys.argv[1:3]
    model = Iris("iris")
    model.load()
    ModelServer(http_port=int(http), grpc_port=int(grpc), workers=1, enable_grpc=True).start([model])

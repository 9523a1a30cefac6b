"""LitServe with the iris model, a chat model that repeats and an embedding: litserve_server.py PORT."""

import json
import sys

import iris
import litserve


class Iris(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return request["features"]

    def predict(self, rows):
        return {"labels": iris.labels(rows), "scores": iris.probabilities(rows)}

    def encode_response(self, output):
        return output


class Words(litserve.LitAPI):
    """A stream of JSON lines that follow no protocol."""

    def setup(self, device):
        pass

    def decode_request(self, request):
        return int(request["words"])

    def predict(self, count):
        for index in range(count):
            yield {"word": f"w{index}", "score": index / 8}

    def encode_response(self, output):
        for word in output:
            yield json.dumps(word) + "\n"


class Chat(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return request.messages[-1].content

    def predict(self, text):
        for index, word in enumerate(f"You said: {text}. The answer is 42.".split(" ")):
            if text == "fail" and index == 3:
                raise RuntimeError("the model broke")
            yield f"{word} "


class Embedding(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return [request.input] if isinstance(request.input, str) else request.input

    def predict(self, texts):
        return [[((len(text) * 7 + i * 3) % 11) / 8 - 0.5 for i in range(8)] for text in texts]


if __name__ == "__main__":
    apis = [
        Iris(api_path="/predict"),
        Words(api_path="/words", stream=True),
        Chat(spec=litserve.OpenAISpec()),
        Embedding(spec=litserve.OpenAIEmbeddingSpec()),
    ]
    server = litserve.LitServer(apis, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, num_api_servers=1)

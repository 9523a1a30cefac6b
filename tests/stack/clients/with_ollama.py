"""The official Ollama client."""

import ollama
from driver import Stream, serve


def joined(chunks, text):
    last = None
    with Stream() as parts:
        for chunk in chunks:
            parts.append(text(chunk) or "")
            last = chunk
    return {"text": "".join(parts), "done": last and last.done, "reason": last and last.done_reason}


def chat(url, text="hello", stream=False, timeout=20):
    client = ollama.Client(host=url, timeout=timeout)
    answer = client.chat(model="tiny", messages=[{"role": "user", "content": text}], stream=stream)
    if stream:
        return joined(answer, lambda chunk: chunk.message.content)
    return {"text": answer.message.content, "done": answer.done, "reason": answer.done_reason}


def generate(url, text="hello", stream=False, timeout=20):
    client = ollama.Client(host=url, timeout=timeout)
    answer = client.generate(model="tiny", prompt=text, stream=stream)
    if stream:
        return joined(answer, lambda chunk: chunk.response)
    return {"text": answer.response, "done": answer.done, "reason": answer.done_reason}


def embed(url, texts=("one", "three"), timeout=20):
    answer = ollama.Client(host=url, timeout=timeout).embed(model="tiny", input=list(texts))
    return {"embeddings": answer.embeddings}


if __name__ == "__main__":
    serve({"chat": chat, "generate": generate, "embed": embed})

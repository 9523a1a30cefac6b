"""The official OpenAI client."""

import openai
from driver import Stream, serve


def client(url, timeout=20, retries=0, headers=None):
    # No proxy and no environment: the client talks to canard, or to nobody.
    return openai.OpenAI(
        base_url=f"{url}/v1", api_key="none", timeout=timeout, max_retries=retries, default_headers=headers
    )


def chat(url, text="hello", stream=False, usage=False, **how):
    with client(url, **how) as api:
        asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
        if not stream:
            answer = api.chat.completions.create(**asked)
            message = answer.choices[0].message
            calls = [call.function.model_dump(exclude_unset=True) for call in message.tool_calls or []]
            return {
                "text": message.content,
                "tools": calls,
                "finish": answer.choices[0].finish_reason,
                "usage": answer.usage,
                "model": answer.model,
            }
        if usage:
            asked["stream_options"] = {"include_usage": True}
        finish, arguments, counted = None, "", None
        with Stream() as parts:
            for chunk in api.chat.completions.create(**asked, stream=True):
                counted = chunk.usage or counted
                for choice in chunk.choices:
                    parts.append(choice.delta.content or "")
                    finish = choice.finish_reason or finish
                    for call in choice.delta.tool_calls or []:
                        arguments += call.function.arguments or ""
        return {"text": "".join(parts), "arguments": arguments, "finish": finish, "usage": counted}


def embeddings(url, texts=("one", "three"), encoding=None, **how):
    with client(url, **how) as api:
        asked = {"encoding_format": encoding} if encoding else {}
        answer = api.embeddings.create(model="embed", input=list(texts), **asked)
        return {"embeddings": [item.embedding for item in answer.data], "usage": answer.usage}


def responses(url, text="hello", stream=False, **how):
    with client(url, **how) as api:
        asked = {"model": "gpt-4o-mini", "input": text}
        if not stream:
            answer = api.responses.create(**asked)
            return {"text": answer.output_text, "status": answer.status, "usage": answer.usage}
        final, kinds = None, []
        with Stream() as parts:
            for event in api.responses.create(**asked, stream=True):
                kinds.append(event.type)
                if event.type == "response.output_text.delta":
                    parts.append(event.delta)
                if event.type in ("response.completed", "response.failed", "response.incomplete"):
                    final = event.response
        return {
            "text": "".join(parts),
            "final": final and final.output_text,
            "status": final and final.status,
            "events": kinds,
        }


if __name__ == "__main__":
    serve({"chat": chat, "embeddings": embeddings, "responses": responses})

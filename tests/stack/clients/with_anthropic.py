"""The official Anthropic client."""

import anthropic
from driver import Stream, serve


def message(url, text="hello", stream=False, timeout=20, retries=0, headers=None):
    api = anthropic.Anthropic(
        base_url=url, api_key="none", timeout=timeout, max_retries=retries, default_headers=headers
    )
    asked = {"model": "claude-sonnet-5", "max_tokens": 64, "messages": [{"role": "user", "content": text}]}
    with api:
        if not stream:
            answer = api.messages.create(**asked)
            return {
                "text": "".join(block.text for block in answer.content if block.type == "text"),
                "tools": [block.input for block in answer.content if block.type == "tool_use"],
                "stop": answer.stop_reason,
                "usage": answer.usage,
                "model": answer.model,
            }
        stop, usage, arguments, ended = None, None, "", False
        with Stream() as parts:
            for event in api.messages.create(**asked, stream=True):
                if event.type == "content_block_delta" and event.delta.type == "text_delta":
                    parts.append(event.delta.text)
                elif event.type == "content_block_delta":
                    arguments += event.delta.partial_json
                elif event.type == "message_delta":
                    stop, usage = event.delta.stop_reason, event.usage
                ended = ended or event.type == "message_stop"
        return {"text": "".join(parts), "arguments": arguments, "stop": stop, "usage": usage, "ended": ended}


if __name__ == "__main__":
    serve({"message": message})

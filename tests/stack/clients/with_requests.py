"""What a caller without a client library does: requests, `raise_for_status`, `json`."""

import requests
from driver import Stream, serve


def post(url, path, body, headers=None, timeout=20):
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(f"{url}{path}", json=body, headers=headers, timeout=timeout)
        answer.raise_for_status()
        return answer.json()


def text(url, path, body, headers=None, timeout=20):
    """The body, line by line as it arrives, whatever its type."""
    with requests.Session() as session:
        session.trust_env = False
        with session.post(f"{url}{path}", json=body, headers=headers, timeout=timeout, stream=True) as answer:
            answer.raise_for_status()
            with Stream() as parts:
                for part in answer.iter_content(None):
                    parts.append(part.decode())
            return "".join(parts)


if __name__ == "__main__":
    serve({"post": post, "text": text})

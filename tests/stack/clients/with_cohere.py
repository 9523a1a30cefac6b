"""The official Cohere client."""

import cohere
from driver import serve


def rerank(url, query="ducks", documents=("a pond", "ducks swim", "ducks quack at ducks"), timeout=20, retries=0):
    client = cohere.ClientV2(api_key="none", base_url=url, timeout=timeout)
    answer = client.rerank(
        model="rerank-v3.5",
        query=query,
        documents=list(documents),
        request_options={"max_retries": retries},
    )
    return {"results": [[result.index, result.relevance_score] for result in answer.results]}


if __name__ == "__main__":
    serve({"rerank": rerank})

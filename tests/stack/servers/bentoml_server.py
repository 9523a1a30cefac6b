"""A BentoML service with the iris model: bentoml serve bentoml_server:Iris --port PORT."""

import asyncio
from typing import AsyncGenerator

import bentoml

import iris


@bentoml.service(workers=1, metrics={"enabled": True})
class Iris:
    @bentoml.api
    def classify(self, features: list[list[float]]) -> list[int]:
        return iris.classes(features)

    @bentoml.api
    def scores(self, features: list[list[float]]) -> list[list[float]]:
        return iris.probabilities(features)

    @bentoml.api
    async def tell(self, flowers: int) -> AsyncGenerator[str, None]:
        for index in range(flowers):
            yield f"flower {index} is a {iris.LABELS[index % 3]}; "
            await asyncio.sleep(0)

"""Ray Serve as its getting started has it: a deployment that is called with the request; the argument is the port."""

import os
import sys
import threading
from typing import Any

import joblib
import ray
from ray import serve
from starlette.requests import Request


@serve.deployment
class Iris:
    """Predicts classes."""

    def __init__(self) -> None:
        self.estimator = joblib.load(os.environ["MODEL"])

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Return the class of each row."""
        return {"prediction": self.estimator.predict((await request.json())["data"]).tolist()}


if __name__ == "__main__":
    ray.init(include_dashboard=False, logging_level="warning", num_cpus=2)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Iris.bind(), route_prefix="/predict")
    threading.Event().wait()

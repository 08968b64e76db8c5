"""What the service's libraries take to load by themselves: all of them, and an application of one route.

A service made of these cannot begin to answer sooner. Run by uvicorn; MODEL names the ONNX file.
"""

import gc

gc.disable()  # as the service does while it loads them

# ruff: noqa: E402
import json
import os
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy as np
import onnxruntime
import prometheus_client  # noqa: F401
import pydantic_settings  # noqa: F401
from fastapi import FastAPI, Request

session = onnxruntime.InferenceSession(os.environ["MODEL"], providers=["CPUExecutionProvider"])
app = FastAPI()


@app.post("/predict")
async def predict(request: Request) -> Any:
    """Predict the rows of a body."""
    matrix = np.asarray(json.loads(await request.body())["data"], dtype=np.float32)
    (probability,) = session.run(["probabilities"], {"X": matrix})
    return {"prediction": probability.argmax(axis=1).tolist()}

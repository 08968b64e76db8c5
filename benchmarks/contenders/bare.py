"""Bare inference: an ASGI application that parses JSON, asks onnxruntime and writes JSON, and does nothing else.

It checks nothing, counts nothing and logs nothing. Run by uvicorn; MODEL names the ONNX file.
"""

import json
import os
from typing import Any

import numpy as np

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

LABELS = ("setosa", "versicolor", "virginica")

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Predict the rows of a body."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    matrix = np.asarray(json.loads(body)["data"], dtype=np.float32)
    (probability,) = session.run(["probabilities"], {"X": matrix})
    index = probability.argmax(axis=1).tolist()
    answer = {
        "model": "iris",
        "version": "1",
        "prediction": index,
        "label": [LABELS[i] for i in index],
        "probability": probability.tolist(),
    }
    content = json.dumps(answer, separators=(",", ":")).encode()
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": content})

"""The limit: an ASGI application that reads the body and returns constant bytes, as many as the service's answer.

Nothing that is written in Python for this server can be faster. Run by uvicorn; ANSWERS names a folder of files that
are called as the length of the request that they answer.
"""

import os
from pathlib import Path
from typing import Any

ANSWERS = {path.stem.encode(): path.read_bytes() for path in Path(os.environ["ANSWERS"]).glob("*.json")}
HEADS = {
    length: [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    for length, answer in ANSWERS.items()
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Read the body, look at nothing but its length, and answer."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body", False):
        pass
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    answered = length if length in ANSWERS else min(ANSWERS)
    await send({"type": "http.response.start", "status": 200, "headers": HEADS[answered]})
    await send({"type": "http.response.body", "body": ANSWERS[answered]})

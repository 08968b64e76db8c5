"""Predictions as lines, one JSON object for each row: a reader need not hold a large answer at once."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from fastapi.responses import StreamingResponse

MEDIA_TYPE = "application/x-ndjson"
"""What callers accept who want lines."""
ROWS = 500
"""Rows that are written at once."""

DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            MEDIA_TYPE: {"schema": {"type": "string", "description": "The members of the answer, a line for each row."}}
        }
    }
}
"""The part of a route's `responses` that tells OpenAPI about lines."""


def accepted(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether the headers of a request ask for lines."""
    for name, value in headers:
        if name == b"accept" and MEDIA_TYPE.encode() in value.lower():
            kinds = (kind.replace(" ", "").lower().split(";") for kind in value.decode("latin-1").split(","))
            return any(kind == MEDIA_TYPE and "q=0" not in parameters for kind, *parameters in kinds)
    return False


def in_lines(prediction: dict[str, Any]) -> StreamingResponse:
    """Return an answer as lines."""
    return StreamingResponse(_pieces(prediction), media_type=MEDIA_TYPE)


def _pieces(prediction: dict[str, Any]) -> Iterator[str]:
    rows = _rows(prediction)
    while piece := list(islice(rows, ROWS)):
        yield "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in piece)


def _rows(prediction: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Split the lists of an answer into one object for each row; what is said of all is said of each."""
    lists = {name: value for name, value in prediction.items() if isinstance(value, list)}
    answer = {name: value for name, value in prediction.items() if name not in lists}
    for values in zip(*lists.values(), strict=True):
        yield answer | dict(zip(lists, values, strict=True))

"""The files that jobs make: streamed, as a whole or in part."""

import re
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from ..errors import (
    BadInput,
    JobNotFound,
    NotAcceptable,
    RangeNotSatisfiable,
    ResultGone,
    ResultNotReady,
    StorageUnavailable,
)
from ..jobs.batch import rejects_of, result_of
from ..jobs.job import Job
from ..scoring.formats import MEDIA_TYPES, Format, media_type
from ..storage import Storage
from .dependencies import EverythingBehind
from .jobs import ERRORS, OwnJob
from .problems import documented

CONTENT = {name: {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}} for name in MEDIA_TYPES}
"""What a result is in each format, for OpenAPI."""
DOCUMENTED = documented(
    JobNotFound, ResultNotReady, ResultGone, NotAcceptable, RangeNotSatisfiable, StorageUnavailable, BadInput
)
"""What may be wrong with a request for one, for OpenAPI."""
NO_REJECTS = "line,reason\n"
"""The list of rejected rows where none were: jobs write no file for it."""

router = APIRouter(tags=["jobs"], responses=ERRORS | DOCUMENTED)

Range = Annotated[str | None, Header(max_length=200, description="Bytes to give, such as `bytes=1000-`.")]
IfRange = Annotated[str | None, Header(max_length=200, description="An ETag: only if it is still right, give a part.")]


@router.get(
    "/jobs/{job_id}/result",  # noqa: FAST003 - `own_job` takes the id
    response_class=StreamingResponse,
    responses={
        200: {"description": "The file.", "content": CONTENT},
        206: {"description": "The part of the file that was asked for.", "content": CONTENT},
    },
)
async def get_result(
    job: OwnJob,
    services: EverythingBehind,
    accept: Annotated[str, Header(max_length=1000, description="Formats wanted, best first.")] = "*/*",
    range: Range = None,  # noqa: A002 - the name of the header
    if_range: IfRange = None,
) -> StreamingResponse:
    """Download the rows with their predictions, in one of the formats that the job made."""
    made = made_by(job)
    form = chosen(accept, made)
    if form is None:
        raise NotAcceptable(f"The job made its result as {', '.join(media_type(one) for one in made)}.")
    storage = Storage(services.settings.files_url())
    return await file_response(storage, result_of(job.id, form), media_type(form), (range, if_range))


@router.get(
    "/jobs/{job_id}/rejects",  # noqa: FAST003 - likewise
    response_class=StreamingResponse,
    responses={200: {"description": "The list.", "content": {"text/csv": CONTENT["text/csv"]}}},
)
async def get_rejects(job: OwnJob, services: EverythingBehind) -> Response:
    """List the rows that could not be scored, as CSV: line and reason."""
    made_by(job)
    if job.rejected == 0:
        headers = {"Cache-Control": "private, no-cache", "Content-Disposition": 'attachment; filename="rejects.csv"'}
        return Response(NO_REJECTS, headers=headers, media_type="text/csv")
    storage = Storage(services.settings.files_url())
    return await file_response(storage, rejects_of(job.id), "text/csv", (None, None))


def made_by(job: Job) -> list[Format]:
    """Return the formats of a job's result.

    Raises:
        JobNotFound: it makes no file.
        ResultNotReady: it has not succeeded.

    """
    if job.kind != "score":
        raise JobNotFound("This job makes no file.")
    if job.result is None:
        raise ResultNotReady(f"The job is {job.state}: only one that has succeeded has a result.")
    made: list[Format] = job.result["formats"]
    return made


def chosen(accept: str, made: list[Format]) -> Format | None:
    """Return the best of the formats that a header Accept takes (RFC 9110, 12.5.1); the first of equal ones."""
    weights: dict[str, float] = {}
    for one in accept.lower().split(","):
        kind, *parameters = one.replace(" ", "").split(";")
        quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        weights[kind] = float(quality) if re.fullmatch(r"[01](\.[0-9]{0,3})?", quality) else 0.0

    def weight(form: Format) -> float:
        names = [name for name, one in MEDIA_TYPES.items() if one == form]
        group = f"{names[0].partition('/')[0]}/*"
        given = [weights[name] for name in names if name in weights]
        return max(given) if given else weights.get(group, weights.get("*/*", 0.0))

    best = max(made, key=weight)
    return best if weight(best) > 0 else None


async def file_response(
    storage: Storage, path: str, kind: str, asked: tuple[str | None, str | None]
) -> StreamingResponse:
    """Answer with a file, or with the part of it that the headers Range and If-Range ask for (RFC 9110, 14).

    Raises:
        ResultGone: it was removed.
        RangeNotSatisfiable: it has no such part.

    """
    try:
        size, tag = await run_in_threadpool(storage.facts, path)
    except FileNotFoundError:
        raise ResultGone("There is no such file, or none any more: files are kept for a time only.") from None
    wanted, if_tag = asked
    part = part_of(wanted, size) if wanted and if_tag in {None, tag} else None
    start, end = part or (0, size)
    name = path.rpartition("/")[2]
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(end - start),
        "ETag": tag,
        "Vary": "Accept",
    }
    if part:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return StreamingResponse(_stream(storage, path, start, end), 206 if part else 200, headers, kind)


def part_of(wanted: str, size: int) -> tuple[int, int] | None:
    """Return where the part begins and ends that a header Range names; None, for everything, if it is no such header.

    Raises:
        RangeNotSatisfiable: the file ends before it.

    """
    found = re.fullmatch(r"bytes=([0-9]{0,15})-([0-9]{0,15})", wanted.strip())
    if not found or found.group(1) == found.group(2) == "":
        return None  # several parts at once are a matter of taste, and not given
    first, last = found.groups()
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    if start >= size or (first and last and int(last) < start) or (not first and int(last) == 0):
        raise RangeNotSatisfiable(f"The file has {size} bytes.")
    return start, end


async def _stream(storage: Storage, path: str, start: int, end: int) -> AsyncIterator[bytes]:
    pieces = storage.pieces(path, start, end)
    while piece := await run_in_threadpool(next, pieces, b""):
        yield piece

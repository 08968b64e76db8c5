"""Files to score in the background: sent as a body or in a form, or named if the storage holds them already."""

import re
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import FormData, UploadFile
from starlette.types import Message

from .. import errors
from ..jobs.batch import SOURCES, UPLOADS
from ..jobs.job import Job
from ..keys import Caller
from ..scoring.formats import MEDIA_TYPES, Format, format_of
from ..settings import Settings
from ..storage import Storage
from .auth import require
from .body import json_body
from .dependencies import EverythingBehind
from .jobs import ERRORS, IdempotencyKey
from .problems import documented

if TYPE_CHECKING:
    from ..jobs.store import Jobs

PIECE = 2**20
"""Bytes of an uploaded form's file that are read at once."""
ROOM_EVERY = 32 * 2**20
"""Bytes after which it is looked whether there is room for more."""
NAME = re.compile(r"[\w][\w .+=@-]*(/[\w][\w .+=@-]*)*")
"""What a path in the storage may look like: no part of it begins with a dot."""


class Source(BaseModel):
    """A file that the storage holds already."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    source: str = Field(min_length=1, max_length=500, examples=["2026/january.parquet"])
    """Its path in the folder `sources` of the storage; its end tells the format: .csv, .jsonl or .parquet."""


JSON, FORM = "application/json", "multipart/form-data"
"""Media types of bodies that are no file themselves: they name one, or hold it."""
BINARY: dict[str, Any] = {"contentMediaType": "application/octet-stream"}
"""Bytes, for OpenAPI: as a body they have no type, so that no body is of a wrong one."""
UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            **{kind: {"schema": BINARY} for kind in MEDIA_TYPES},
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string"} | BINARY},
                }
            },
            JSON: {"schema": {"$ref": "#/components/schemas/Source"}},
        },
    }
}
"""The body, for OpenAPI."""


class Upload(NamedTuple):
    """A file that was sent."""

    form: Format
    """Its format."""
    pieces: AsyncIterator[bytes]
    """Its content."""


router = APIRouter(tags=["jobs"], responses=ERRORS)

read_source = json_body(Source, lambda place: ".".join(map(str, place)) or "body")


@router.post(
    "/batches",
    status_code=202,
    openapi_extra=UPLOAD,
    responses=documented(
        errors.BadRequest,
        errors.TooLarge,
        errors.UnsupportedMediaType,
        errors.DiskFull,
        errors.JobsUnavailable,
        errors.StorageUnavailable,
    )
    | {
        202: {
            "description": "The file is queued; `Location` is where to follow it.",
            "headers": {"Location": {"description": "Path of the job.", "schema": {"type": "string"}}},
        }
    },
)
async def score(  # noqa: PLR0913, PLR0917 - each is a part of the request
    request: Request,
    response: Response,
    caller: Annotated[Caller, require("batch")],
    services: EverythingBehind,
    result: Annotated[
        list[Literal["csv", "jsonl", "parquet"]] | None,
        Query(max_length=3, description="Format of the result, repeatable. By default that of the file."),
    ] = None,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """Score a file in the background: its columns are kept, and the predictions added."""
    storage = Storage(services.settings.files_url())
    job = await run_in_threadpool(services.jobs.find, "score", idempotency_key, caller.name)
    if job is None:
        await run_in_threadpool(services.jobs.check_room)
    # What is wrong shows whether a job has the key or not; a file that was taken before is not kept again.
    async with sent(request, storage, services.settings) as content:
        if job is None:
            path, form = await kept(content, storage, services.settings)
            order = {"source": path, "form": form, "results": sorted(set(result or [form]))}
            job = await run_in_threadpool(submitted, services.jobs, storage, order, idempotency_key, caller.name)
    response.headers["Location"] = f"/jobs/{job.id}"
    return job


def submitted(jobs: "Jobs", storage: Storage, order: dict[str, Any], key: str | None, owner: str) -> Job:
    """Submit a job; remove the upload if another request with the same key came first."""
    source = order["source"]
    job = jobs.submit("score", order, key, owner=owner, notes={"source": source})
    if source.startswith(f"{UPLOADS}/") and jobs.note_of(job.id, "source") != source:
        storage.remove_one(source)
    return job


@asynccontextmanager
async def sent(request: Request, storage: Storage, settings: Settings) -> AsyncIterator[Upload | str]:
    """Read what a request says, but for a file in its body: an upload, or the name of a source.

    Raises:
        UnsupportedMediaType: it is of no format that can be scored.
        BadInput: a form has no file, or no source is named.
        DiskFull: there is too little room for a form.

    """
    if "content-encoding" in request.headers:
        raise errors.UnsupportedMediaType("The body must not be compressed.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == JSON:
        yield (await read_source(request)).source
    elif kind == FORM:
        async with spooled(request, storage, settings).form(max_files=1, max_fields=1) as fields:
            yield _of_form(fields)
    elif kind in MEDIA_TYPES:
        yield Upload(MEDIA_TYPES[kind], request.stream())
    else:
        raise errors.UnsupportedMediaType(f"Send the file as one of {', '.join(MEDIA_TYPES)}, or as {FORM}.")


def spooled(request: Request, storage: Storage, settings: Settings) -> Request:
    """Return the request of a form, which is read as long as there is room where it is spooled and where it will be.

    Raises:
        DiskFull: there is no room to begin with.

    """
    storage.check_room(ROOM_EVERY, settings.min_free_bytes)
    spool = Storage(Path(tempfile.gettempdir()).as_uri())
    since = 0

    async def receive() -> Message:
        nonlocal since
        message = await request.receive()
        since += len(message.get("body", b""))
        if since >= ROOM_EVERY:
            for place in (spool, storage):
                place.check_room(ROOM_EVERY, settings.min_free_bytes)
            since = 0
        return message

    return Request(request.scope, receive)


def _of_form(fields: FormData) -> Upload:
    """Return the file of a form; its type or its name tells the format."""
    file = fields.get("file")
    if not isinstance(file, UploadFile):
        raise errors.BadInput("1 value is not acceptable.", [errors.Fault("file", "Input should be an uploaded file")])
    form = MEDIA_TYPES.get((file.content_type or "").partition(";")[0]) or format_of(file.filename or "")
    if form is None:
        raise errors.UnsupportedMediaType("The name of the file must end with .csv, .jsonl or .parquet.")
    return Upload(form, _pieces(file))


async def kept(content: Upload | str, storage: Storage, settings: Settings) -> tuple[str, Format]:
    """Keep an upload, or find the source that was named; return its path in the storage and its format.

    Raises:
        BadInput: the source is not there.
        DiskFull: there is too little room.

    """
    if isinstance(content, str):
        return await run_in_threadpool(named, content, storage)
    path = f"{UPLOADS}/{uuid.uuid4().hex}"
    await storage.receive(path, with_room(content.pieces, storage, settings))
    return path, content.form


def named(name: str, storage: Storage) -> tuple[str, Format]:
    """Find a file that the storage holds; return its path and its format.

    Raises:
        BadInput: it is not there, or of no format that can be scored.

    """
    form = format_of(name)
    if form is None or not NAME.fullmatch(name):
        raise errors.BadInput("1 value is not acceptable.", [errors.Fault("source", "Input names no file to score")])
    path = f"{SOURCES}/{name}"
    try:
        storage.size(path)
    except FileNotFoundError:
        raise errors.BadInput("1 value is not acceptable.", [errors.Fault("source", "There is no such file")]) from None
    return path, form


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await file.read(PIECE):
        yield piece


async def with_room(pieces: AsyncIterator[bytes], storage: Storage, settings: Settings) -> AsyncIterator[bytes]:
    """Pass on what arrives, as long as there is room for it."""
    since = ROOM_EVERY
    async for piece in pieces:
        since += len(piece)
        if since >= ROOM_EVERY:
            storage.check_room(ROOM_EVERY, settings.min_free_bytes)
            since = 0
        yield piece

"""Pages of jobs, newest first: where one ends and the next begins."""

import base64
import binascii
import json
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from ..errors import BadInput
from .job import KINDS

if TYPE_CHECKING:
    from dbos import DBOSClient, WorkflowStatus


def records_after(
    client: "DBOSClient", limit: int, place: tuple[int, str] | None, owner: str | None
) -> "list[WorkflowStatus]":
    """List jobs, newest first, from after a place: the moment and the id of the last job seen."""
    ask = partial(client.list_workflows, name=list(KINDS), sort_desc=True, load_input=False, user=owner)
    if place is None:
        return ask(limit=limit)
    moment, last_id = place
    # Many jobs may be of one moment, which SQLite under Python 3.11 keeps in whole seconds.
    same = ask(start_time=_iso(moment), end_time=_iso(moment))
    seen = next((number for number, record in enumerate(same, 1) if record.workflow_id == last_id), 0)
    return (same[seen:] + ask(end_time=_iso(moment - 1), limit=limit))[:limit]


def _iso(milliseconds: int) -> str:
    # Half a millisecond more, because the library rounds down.
    return datetime.fromtimestamp((milliseconds + 0.5) / 1000, UTC).isoformat()


def cursor_of(page: "list[WorkflowStatus]") -> str:
    """Return what names the page after this one."""
    return base64.urlsafe_b64encode(json.dumps([page[-1].created_at, page[-1].workflow_id]).encode()).decode()


def read_cursor(cursor: str) -> tuple[int, str]:
    """Read what `cursor_of` returned; raise `BadInput` for anything else."""
    try:
        moment, last_id = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
        _iso(moment), _iso(moment - 1)  # raises if it is no moment
    except (binascii.Error, ValueError, TypeError, OverflowError, OSError) as error:
        raise BadInput("The cursor is not one that a page of jobs gave; start without one.") from error
    return moment, str(last_id)

"""Which part of a result is sent, in which format; lists of rejects."""

from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient
from sample.ml import Model
from sample.settings import Settings

from mlapi.api.jobs import own_job
from mlapi.api.results import chosen, part_of
from mlapi.errors import RangeNotSatisfiable
from mlapi.jobs.job import Job
from mlapi.scoring.assemble import assemble_rejects
from mlapi.scoring.formats import Format
from mlapi.storage import Storage

from rig.app import create_app


@pytest.mark.parametrize(
    ("accept", "made", "form"),
    [
        ("*/*", ["parquet", "csv"], "parquet"),
        ("text/csv", ["parquet", "csv"], "csv"),
        ("text/*;q=0.5, application/x-ndjson", ["csv", "jsonl"], "jsonl"),
        ("text/csv;q=0, */*", ["csv", "jsonl"], "jsonl"),
        ("text/csv;q=0", ["csv"], None),
        ("application/json", ["csv"], None),
        ("text/csv;q=high", ["csv"], None),
        ("", ["csv"], None),
    ],
)
def test_the_format_is_chosen_by_the_callers_wishes(accept: str, made: list[Format], form: Format | None) -> None:
    assert chosen(accept, made) == form


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-200", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-200", (0, 100)),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
    ],
)
def test_the_part_is_what_the_header_says(wanted: str, part: tuple[int, int] | None) -> None:
    assert part_of(wanted, 100) == part


@pytest.mark.parametrize("wanted", ["bytes=100-", "bytes=20-10", "bytes=-0"])
def test_a_part_that_is_not_there_is_refused(wanted: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        part_of(wanted, 100)


def test_a_job_that_rejected_nothing_lists_nothing(settings: Settings) -> None:
    now = datetime.now(UTC)
    job = Job(
        id="0" * 32,
        kind="score",
        owner="local",
        state="succeeded",
        done=True,
        progress=1.0,
        rows=1,
        rejected=0,
        rows_per_second=None,
        created_at=now,
        started_at=now,
        finished_at=now,
        result={"formats": ["csv"]},
        error=None,
    )
    app = create_app(Model, settings)
    app.dependency_overrides[own_job] = lambda: job
    with TestClient(app, base_url="https://127.0.0.1") as client:
        listed = client.get(f"/jobs/{job.id}/rejects")
    assert (listed.status_code, listed.content) == (200, b"".join(assemble_rejects(Storage("file:///nowhere"), "x", 1)))
    assert listed.headers["Content-Type"].startswith("text/csv")

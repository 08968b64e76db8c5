"""Settings on both databases that jobs can be kept in."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sample.ml import Model
from sample.settings import Settings
from sqlalchemy import make_url

from mlapi.jobs import store

from rig.bench import Bench


@pytest.fixture(autouse=True)
def _slow_answers_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the database, and who asks it, take their time on a busy machine."""
    for name in ("PATIENCE", "OPENING_PATIENCE", "IDLE_SECONDS"):
        monkeypatch.setattr(store, name, 60)


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings with a database of their own, not made yet."""
    models, data = tmp_path / "models", tmp_path / "var"
    if request.param == "sqlite":
        yield Settings(models_dir=models, data_dir=data)
        return
    server: str = request.getfixturevalue("postgresql")
    name = f"test_{uuid.uuid4().hex}"
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    yield Settings(models_dir=models, data_dir=data, database_url=SecretStr(url))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def bench(settings: Settings, trained: Settings) -> Iterator[Bench]:
    bench = Bench(settings, trained.models_dir.resolve() / Model.name / "1")
    yield bench
    bench.close()

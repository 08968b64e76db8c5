"""Settings on both databases that jobs can be kept in."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from package_name.settings import Settings

DATABASE_URL = os.environ.get("TEST_DATABASE_URL")
"""A PostgreSQL server to test on, such as `postgresql://postgres@127.0.0.1:5432/postgres`."""


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings with a database of their own, not made yet."""
    models, data = tmp_path / "models", tmp_path / "var"
    if request.param == "sqlite":
        yield Settings(models_dir=models, data_dir=data)
        return
    if DATABASE_URL is None:
        pytest.skip("set TEST_DATABASE_URL to the URL of a PostgreSQL server to test on it, too")
    name = f"test_{uuid.uuid4().hex}"
    url = make_url(DATABASE_URL).set(database=name).render_as_string(hide_password=False)
    yield Settings(models_dir=models, data_dir=data, database_url=SecretStr(url))
    with psycopg.connect(DATABASE_URL, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())

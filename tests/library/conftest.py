"""What the tests share: settings in a directory of their own, a registry with a trained version, the application."""

import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import rig.sample  # noqa: F401 - before all else: it lets this process find the package `sample`

# isort: split

import cloudpickle
import numpy as np
import pytest
from fastapi.testclient import TestClient
from sample.ml import Model
from sample.settings import Settings

from mlapi.api.app import Application
from mlapi.ml.base import Interval
from mlapi.serving.champion import Served
from mlapi.serving.registry import Registry
from mlapi.training.foreground import train_now

from rig.app import create_app
from rig.cluster import Cluster, speaking_dask
from rig.database import speaking_postgresql
from rig.names import PREFIX


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Keep the environment and the .env file of whoever runs the tests out of them, and each test's out of the next."""
    with patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            del os.environ[name]
        monkeypatch.chdir(tmp_path)
        yield


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with one trained version, the champion. Only for tests that do not change it."""
    root = tmp_path_factory.mktemp("trained")
    settings = Settings(models_dir=root / "models", data_dir=root / "var", _env_file=None)
    train_now(Model, settings, {}, "always", lambda _progress, _phase: None)
    return settings


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a PostgreSQL server."""
    with speaking_postgresql() as url:
        if url is None:
            pytest.skip("install PostgreSQL, or set TEST_DATABASE_URL to the URL of a server, to test on it, too")
        yield url


@pytest.fixture
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of two workers on this machine."""
    # Its processes have the package, but not its tests: their functions travel whole.
    cloudpickle.register_pickle_by_value(request.module)
    with speaking_dask(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a service that has no model yet."""
    return Settings(models_dir=tmp_path / "models", data_dir=tmp_path / "var")


@pytest.fixture
def registry(settings: Settings) -> Registry:
    """An empty registry."""
    return Registry.of(Model, settings)


@pytest.fixture
def app(trained: Settings) -> Application:
    """The application with a trained model."""
    return create_app(Model, trained)


@pytest.fixture
def client(app: Application) -> Iterator[TestClient]:
    """A caller on the same machine."""
    with TestClient(app, base_url="https://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


Serve = Callable[..., AbstractContextManager[TestClient]]


@pytest.fixture
def serve(trained: Settings) -> Serve:
    """Serve with other settings to a caller on the same machine."""

    @contextmanager
    def start(base_url: str = "https://127.0.0.1", **changes: Any) -> Iterator[TestClient]:
        app = create_app(Model, Settings(**(trained.model_dump() | changes), _env_file=None))
        with TestClient(app, base_url=base_url, raise_server_exceptions=False) as client:
            yield client

    return start


@pytest.fixture
def rows() -> list[list[Any]]:
    """One row that is valid."""
    return [list(Model.Features.example().values())]


Table = Callable[..., str]


@pytest.fixture
def table() -> Table:
    """Write rows of values as CSV, under a header with the features' names or another."""

    def write(*rows: Sequence[Any], header: Sequence[str] = Model.Features.names()) -> str:
        file = io.StringIO()
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
        return file.getvalue()

    return write


class Constant:
    """What computes the same output for every row."""

    def __init__(self, output: Any) -> None:
        self.output = np.asarray(output, dtype=np.float32)

    def compute(self, X: Any) -> Any:
        return np.repeat(self.output, len(X), axis=0)


@pytest.fixture
def constant() -> Callable[..., Served]:
    """Make a version 42 that answers each row as `Model.example_answer` shows, or computes another output."""
    typical = getattr(Model, "typical", 0.0)
    expected = np.eye(1, len(Model.labels)) if Model.labels else [[typical]]
    interval = None if Model.labels else Interval(half_width=typical / 4, coverage=0.9, examples=99)

    def make(value: float | None = None) -> Served:
        runtime: Any = Constant(expected if value is None else np.full_like(expected, value))
        return Served(Model, "42", runtime, interval)

    return make

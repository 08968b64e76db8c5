"""What the tests share: settings in a directory of their own, a registry with a trained version, the application."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from package_name.api.app import create_app
from package_name.jobs.train import train_now
from package_name.ml import Model
from package_name.serving.registry import Registry
from package_name.settings import PREFIX, Settings


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the environment and the .env file of whoever runs the tests out of them."""
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with one trained version, the champion. Only for tests that do not change it."""
    root = tmp_path_factory.mktemp("trained")
    settings = Settings(models_dir=root / "models", data_dir=root / "var", _env_file=None)
    train_now(settings, {}, "always", lambda _progress, _phase: None)
    return settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a service that has no model yet."""
    return Settings(models_dir=tmp_path / "models", data_dir=tmp_path / "var")


@pytest.fixture
def registry(settings: Settings) -> Registry:
    """An empty registry."""
    return Registry(settings.models_dir, Model.name)


@pytest.fixture
def app(trained: Settings) -> FastAPI:
    """The application with a trained model."""
    return create_app(trained)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """A caller on the same machine."""
    with TestClient(app, base_url="https://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def rows() -> list[list[float]]:
    """One row that is valid."""
    return [list(Model.Features.example().values())]

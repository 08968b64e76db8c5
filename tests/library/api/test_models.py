import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sample.ml import Model
from sample.settings import Settings

from rig.app import create_app
from rig.service import wait_for


@pytest.fixture
def client(trained: Settings, tmp_path: Path) -> Iterator[TestClient]:
    """A caller of a service with two versions of its own; the first serves."""
    shutil.copytree(trained.models_dir, tmp_path / "models")
    shutil.copytree(tmp_path / "models" / Model.name / "1", tmp_path / "models" / Model.name / "2")
    settings = Settings(models_dir=tmp_path / "models", data_dir=tmp_path / "var", refresh_seconds=0.01)
    with TestClient(create_app(Model, settings), base_url="https://127.0.0.1") as client:
        yield client


def champions(client: TestClient) -> list[tuple[str, bool]]:
    return [(one["version"], one["champion"]) for one in client.get("/models").json()["versions"]]


def test_versions_are_listed_newest_first_with_the_champion(client: TestClient) -> None:
    assert champions(client) == [("2", False), ("1", True)]


def test_a_version_shows_its_record(client: TestClient) -> None:
    shown = client.get("/models/1").json()
    assert shown["champion"] is True
    assert shown["manifest"]["labels"] == list(Model.labels)
    assert shown["manifest"]["parity"]["label_differences"] == 0


def test_a_promoted_version_serves_soon_and_can_be_taken_back(client: TestClient, rows: list[list[float]]) -> None:
    for version in ("2", "1"):
        promoted = client.post(f"/models/{version}/promote")
        assert (promoted.status_code, promoted.json()["champion"]) == (200, True)
        wait_for(
            lambda: client.post("/predict", json={"data": rows}).json()["version"] == version,  # noqa: B023 - at once
            f"version {version} to serve",
        )
    assert champions(client) == [("2", False), ("1", True)]


def test_a_version_that_cannot_serve_is_not_promoted(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "models" / Model.name / "2" / "model.onnx").write_bytes(b"")
    assert client.post("/models/2/promote").status_code == 500
    assert champions(client) == [("2", False), ("1", True)]


def test_a_broken_record_does_not_hide_the_other_versions(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "models" / Model.name / "2" / "manifest.json").write_text("{")
    assert champions(client) == [("1", True)]
    assert client.get("/models/2").status_code == 500


@pytest.mark.parametrize("path", ["/models", "/models/1"])
def test_who_knows_an_answer_already_is_told_so(client: TestClient, path: str) -> None:
    first = client.get(path)
    tag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "private, no-cache"
    for known in (tag, f'"x", {tag}', "*"):
        for same in (client.get(path, headers={"If-None-Match": known}), client.head(path)):
            assert same.headers["ETag"] == tag
            assert same.content == b""
        assert client.get(path, headers={"If-None-Match": known}).status_code == 304
    for other in ('W/"0"', "", "x" * 900, '"', ",,"):
        assert client.get(path, headers={"If-None-Match": other}).status_code == 200
    client.post("/models/2/promote").raise_for_status()
    changed = client.get(path, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


@pytest.mark.parametrize("version", ["3", "0", "x", "%2e%2e", "..%2f1", "a" * 300, "%00"])
def test_a_version_that_does_not_exist_is_not_found(client: TestClient, version: str) -> None:
    """Checklist 19."""
    assert client.get(f"/models/{version}").status_code == 404
    assert client.post(f"/models/{version}/promote").status_code == 404

import itertools
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlapi.errors import InvalidModelVersion, ModelVersionNotFound
from mlapi.ml.manifest import DatasetRecord, FileRecord, Manifest, now
from mlapi.ml.parity import Parity
from mlapi.serving.registry import Registry

PROMOTIONS = 50
"""How often a version and then another is promoted while the pointer is read."""


@pytest.fixture
def candidate(registry: Registry) -> Callable[..., Path]:
    """Make a candidate that no training had to make."""

    def make(run: str, score: float = 0.9, labels: tuple[str, ...] = ("a", "b")) -> Path:
        directory = registry.candidate(run)
        directory.mkdir(parents=True)
        (directory / "model.onnx").write_bytes(run.encode())
        manifest = Manifest(
            model="m",
            run=run,
            created_at=now(),
            files={"model.onnx": FileRecord.of(run.encode())},
            features={"properties": {"x": {}}},
            labels=list(labels),
            hyperparameters={},
            metrics={"balanced_accuracy": score},
            parity=Parity(rows=1, label_differences=0, largest_difference=0, worst_row=[]),
            dataset=DatasetRecord(source="", fingerprint="", training_rows=1, test_rows=1),
            reference={},
            git_commit=None,
            libraries={},
        )
        (directory / "manifest.json").write_text(manifest.model_dump_json())
        return directory

    return make


def test_an_empty_registry_has_no_version_and_no_champion(registry: Registry) -> None:
    assert registry.versions() == []
    assert registry.champion() is None


def test_versions_are_numbered_from_one_and_listed_newest_first(
    registry: Registry, candidate: Callable[..., Path]
) -> None:
    numbers = [registry.publish(candidate(f"run{i}")) for i in range(11)]
    assert numbers == [str(i) for i in range(1, 12)]
    assert registry.versions() == numbers[::-1]


def test_publishing_a_run_again_gives_the_same_version(registry: Registry, candidate: Callable[..., Path]) -> None:
    directory = candidate("run")
    assert [registry.publish(directory) for _ in range(3)] == ["1", "1", "1"]
    assert registry.versions() == ["1"]


def test_an_incomplete_candidate_is_not_published(registry: Registry) -> None:
    registry.candidate("half").mkdir(parents=True)
    with pytest.raises(InvalidModelVersion, match="not complete"):
        registry.publish(registry.candidate("half"))


def test_publishing_at_once_gives_each_run_a_number_of_its_own(
    registry: Registry, candidate: Callable[..., Path]
) -> None:
    directories = [candidate(f"run{i}") for i in range(16)]
    threads = [threading.Thread(target=registry.publish, args=[directory]) for directory in directories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {registry.manifest(version).run for version in registry.versions()} == {f"run{i}" for i in range(16)}


@pytest.mark.parametrize("version", ["2", "0", "01", "-1", "x", "", "..", "../1", "1/..", "1\0", "²", "1" * 300])
def test_what_is_not_a_version_is_not_found(registry: Registry, candidate: Callable[..., Path], version: str) -> None:
    registry.publish(candidate("run"))
    for call in (registry.manifest, registry.promote):
        with pytest.raises(ModelVersionNotFound):
            call(version)


def test_promotion_names_the_champion_and_can_go_back(registry: Registry, candidate: Callable[..., Path]) -> None:
    for run in ("a", "b"):
        registry.publish(candidate(run))
    for version in ("2", "1"):
        registry.promote(version)
        assert registry.champion() == version


def spoil(content: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize("damage", [spoil(b""), spoil(b"ru"), spoil(b"rux"), spoil(b"run and more"), Path.unlink])
def test_a_damaged_version_is_neither_read_nor_promoted(
    registry: Registry, candidate: Callable[..., Path], damage: Callable[[Path], Any]
) -> None:
    registry.publish(candidate("run"))
    assert registry.read("1", "model.onnx", 100) == b"run"
    damage(registry.directory / "1" / "model.onnx")
    with pytest.raises(InvalidModelVersion):
        registry.read("1", "model.onnx", 100)
    with pytest.raises(InvalidModelVersion):
        registry.promote("1")
    assert registry.champion() is None


def test_only_folders_with_a_number_are_versions(registry: Registry, candidate: Callable[..., Path]) -> None:
    registry.publish(candidate("run"))
    (registry.directory / "77").touch()
    (registry.directory / "old").mkdir()
    assert registry.versions() == ["1"]


def test_a_file_over_the_limit_is_not_read(registry: Registry, candidate: Callable[..., Path]) -> None:
    registry.publish(candidate("run"))
    with pytest.raises(InvalidModelVersion, match="over 2 bytes"):
        registry.read("1", "model.onnx", 2)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null", '{"version": ["../../x"]}', '{"version": "../1"}'])
def test_an_unreadable_pointer_is_an_error_not_a_guess(registry: Registry, content: str) -> None:
    registry.directory.mkdir(parents=True)
    registry.pointer.write_text(content)
    with pytest.raises(InvalidModelVersion):
        registry.champion()


@pytest.mark.parametrize(
    ("policy", "score", "promoted"),
    [
        ("always", 0.1, True),
        ("never", 1.0, False),
        ("better", 0.95, True),
        ("better", 0.9, True),
        ("better", 0.895, True),
        ("better", 0.88, False),
    ],
)
def test_the_policy_decides_whether_a_new_version_serves(
    registry: Registry, candidate: Callable[..., Path], policy: Any, score: float, *, promoted: bool
) -> None:
    registry.promote(registry.publish(candidate("champion", 0.9)))
    decision = registry.consider(registry.publish(candidate("new", score)), policy, 0.01)
    assert decision.promoted is promoted
    assert registry.champion() == ("2" if promoted else "1")


def test_the_first_version_serves(registry: Registry, candidate: Callable[..., Path]) -> None:
    assert registry.consider(registry.publish(candidate("first", 0.1)), "better", 0).promoted


def test_a_version_for_other_labels_replaces_the_champion(registry: Registry, candidate: Callable[..., Path]) -> None:
    registry.promote(registry.publish(candidate("old", 0.99)))
    new = registry.publish(candidate("new", 0.5, labels=("a", "b", "c")))
    assert registry.consider(new, "better", 0).promoted


def test_the_pointer_is_never_half_written(registry: Registry, candidate: Callable[..., Path]) -> None:
    for run in ("a", "b"):
        registry.publish(candidate(run))
    registry.promote("1")
    seen, stop = set(), threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.add(json.loads(registry.pointer.read_bytes())["version"])

    reader = threading.Thread(target=look)
    reader.start()
    deadline = time.monotonic() + 60
    for turn in itertools.count():
        registry.promote("2")
        registry.promote("1")
        was_read = turn >= PROMOTIONS and len(seen) > 1
        if was_read or not reader.is_alive() or time.monotonic() > deadline:
            break
    stop.set()
    reader.join()
    assert seen == {"1", "2"}
    assert list(registry.directory.glob(".champion*")) == []

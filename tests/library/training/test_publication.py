import shutil
from pathlib import Path

import pytest
from sample.ml import Model
from sample.settings import Settings

from mlapi.serving.registry import Registry
from mlapi.training.publication import adopt, attempt, discard, left_over, publish


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A registry of one's own."""
    return Registry(tmp_path / "models", Model.name)


def written(trained: Settings, directory: Path) -> Path:
    """Write what a training writes."""
    shutil.copytree(Registry.of(Model, trained).directory / "1", directory)
    return directory


def test_a_worker_that_lost_its_job_takes_nothing_from_the_one_that_has_it(
    registry: Registry, trained: Settings
) -> None:
    """Checklist 32."""
    lost, held = (written(trained, attempt(registry, "job")) for _ in range(2))
    shutil.rmtree(lost.parent)
    adopt(held)
    assert publish(registry, "job") == "1"


def test_an_attempt_takes_the_place_of_one_that_was_not_recorded(registry: Registry, trained: Settings) -> None:
    for _ in range(2):
        adopt(written(trained, attempt(registry, "job")))
    assert publish(registry, "job") == "1"


def test_what_is_left_of_a_run_is_found_and_removed_and_nothing_of_another(
    registry: Registry, trained: Settings
) -> None:
    adopt(written(trained, attempt(registry, "first")))
    for run in ("first", "first", "second"):
        written(trained, attempt(registry, run))
    assert left_over(registry) == {"first", "second"}
    discard(registry, "first")
    assert left_over(registry) == {"second"}

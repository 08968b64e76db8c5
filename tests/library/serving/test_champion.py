import asyncio
import json
import logging
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sample.ml import Model
from sample.settings import Settings

from mlapi.errors import IncompatibleModelVersion
from mlapi.ml.manifest import FileRecord
from mlapi.ml.rowwise import is_rowwise
from mlapi.monitoring import drift
from mlapi.monitoring.drift import Tallies
from mlapi.serving import champion
from mlapi.serving.champion import Champion, load, promote
from mlapi.serving.registry import Registry


@pytest.fixture
def registry(trained: Settings, tmp_path: Path) -> Registry:
    """A registry of one's own with two versions; the first serves."""
    shutil.copytree(trained.models_dir, tmp_path / "models")
    registry = Registry(tmp_path / "models", Model.name)
    shutil.copytree(registry.directory / "1", registry.directory / "2")
    return registry


def test_a_new_champion_is_picked_up_and_the_old_one_stays_usable(registry: Registry) -> None:
    champion = Champion(Model, registry, 10**9)
    champion.refresh()
    before = champion.served
    assert before is not None
    registry.promote("2")
    champion.refresh()
    assert (before.version, champion.served and champion.served.version) == ("1", "2")
    X = Model.Features.matrix([Model.Features.example().values()])
    assert before.answer(X).finite


def test_it_is_known_whether_rows_of_several_callers_may_be_computed_together(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(champion, "largest", lambda *_: 123)  # quick, however slow the machine is now
    serving = Champion(Model, registry, 10**9)
    serving.refresh()
    assert serving.served is not None
    assert serving.served.rowwise == is_rowwise(serving.served.runtime.compute, Model.Features)


def test_a_version_that_takes_its_time_is_known_to(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(champion, "largest", lambda *_: 123)
    serving = Champion(Model, registry, 10**9)
    serving.refresh()
    assert serving.served is not None
    assert serving.served.small == 123
    assert "requests of more than 123 bytes are computed in threads" in caplog.text


def test_a_version_that_is_slow_for_one_row_is_not_tried_on_many(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(champion, "largest", lambda *_: 0)
    monkeypatch.setattr(champion, "is_rowwise", lambda *_: pytest.fail("it was tried"))
    serving = Champion(Model, registry, 10**9)
    serving.refresh()
    assert serving.served is not None
    assert (serving.served.small, serving.served.rowwise) == (0, False)


@pytest.mark.parametrize("damage", ["truncated", "tampered", "too large", "missing"])
def test_a_bad_version_is_refused_and_the_last_good_one_serves(
    registry: Registry, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    model = registry.directory / "2" / "model.onnx"
    champion = Champion(Model, registry, 10**9 if damage != "too large" else model.stat().st_size)
    champion.refresh()
    registry.promote("2")
    content = model.read_bytes()
    match damage:
        case "truncated":
            model.write_bytes(content[:-1])
        case "tampered":
            model.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "too large":
            model.write_bytes(content + b"0")
        case "missing":
            model.unlink()
    with caplog.at_level(logging.ERROR):
        champion.refresh()
        champion.refresh()
    assert champion.served is not None
    assert champion.served.version == "1"
    assert caplog.text.count("version 1 goes on serving") == 1
    model.write_bytes(content)  # the fault passes
    champion.refresh()
    assert champion.served.version == "2"


def test_a_version_for_other_features_is_not_loaded(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "labels", ("other", *Model.labels[1:]))
    with pytest.raises(IncompatibleModelVersion, match="other features or labels"):
        load(Model, registry, "1", 10**9)
    with pytest.raises(IncompatibleModelVersion):
        promote(Model, registry, "2", 10**9)
    assert registry.champion() == "1"


def rewrite_features(registry: Registry, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    path = registry.directory / "1" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["features"]["properties"] = change(manifest["features"]["properties"])
    path.write_text(json.dumps(manifest))


@pytest.mark.skipif(len(Model.Features.names()) == 1, reason="a single feature has no order")
def test_a_version_for_the_same_features_in_another_order_is_not_loaded(registry: Registry) -> None:
    rewrite_features(registry, lambda features: dict(reversed(features.items())))
    with pytest.raises(IncompatibleModelVersion, match="other features or labels"):
        load(Model, registry, "1", 10**9)


def test_another_wording_of_what_a_feature_means_keeps_a_version_in_service(registry: Registry) -> None:
    rewrite_features(registry, lambda features: {name: {**one, "description": "new"} for name, one in features.items()})
    assert load(Model, registry, "1", 10**9).version == "1"


def test_versions_that_come_and_go_are_counted_each_in_one_file(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "_today", lambda: date(2026, 3, 9))  # each day has a file of its own
    held = Champion(Model, registry, 10**9, Tallies(tmp_path / "drift", 7))
    X = Model.Features.matrix([Model.Features.example().values()])
    for turn in range(6):
        registry.promote("12"[turn % 2])
        held.refresh()
        assert held.served is not None
        held.served.seen(X, held.served.answer(X))
        if turn % 3:  # so that a version comes back before it was written, and after
            held.flush()
    held.flush()
    assert len(list((tmp_path / "drift").rglob("*.json"))) == 2
    assert {one.counted for one in held.drift()} == {3}


def republish(registry: Registry, version: str) -> None:
    """Delete a version and give its number to another, which computes the same from another file."""
    model, manifest = registry.directory / version / "model.onnx", registry.directory / version / "manifest.json"
    content = model.read_bytes() + b"\x72\x00"  # one more description of the model, which is empty
    record = json.loads(manifest.read_text())
    record["files"]["model.onnx"] = FileRecord.of(content).model_dump()
    model.write_bytes(content)
    manifest.write_text(json.dumps(record))


def test_another_version_of_the_same_number_takes_its_place_once_it_is_promoted(registry: Registry) -> None:
    held = Champion(Model, registry, 10**9)
    held.refresh()
    before = held.served
    registry.promote("1")
    held.refresh()
    assert held.served is before is not None
    republish(registry, "1")
    registry.promote("1")
    held.refresh()
    assert held.served is not None
    assert (held.served.version, held.served is before) == ("1", False)
    assert held.served.identity != before.identity, "the cache would give the answers of the old one"


def test_a_version_that_was_deleted_goes_on_serving_beside_a_new_canary(registry: Registry) -> None:
    held = Champion(Model, registry, 10**9)
    held.refresh()
    before = held.served
    shutil.rmtree(registry.directory / "1")
    registry.direct(canary="2", share=0.5)
    held.refresh()
    assert held.served is before is not None
    assert held.canary is not None


def test_drift_is_told_when_the_registry_is_away(registry: Registry, tmp_path: Path) -> None:
    held = Champion(Model, registry, 10**9, Tallies(tmp_path / "drift", 7))
    held.refresh()
    told = held.drift()
    assert told
    shutil.rmtree(registry.directory)
    assert held.drift() == told


def test_without_a_champion_nothing_serves(tmp_path: Path) -> None:
    champion = Champion(Model, Registry(tmp_path, Model.name), 10**9)
    champion.refresh()
    assert champion.served is None


async def _until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not happened():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.01)


def test_following_survives_a_fault_and_tries_again(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(champion, "RETRY_SECONDS", 0.1)
    real, faults = champion.load, [RuntimeError("nobody foresaw this")]

    def load_with_one_fault(*arguments: object) -> champion.Served:
        if faults:
            raise faults.pop()
        return real(*arguments)  # type: ignore[arg-type]

    held = Champion(Model, registry, 10**9)
    held.refresh()
    monkeypatch.setattr(champion, "load", load_with_one_fault)
    registry.promote("2")

    async def scenario() -> None:
        follower = asyncio.create_task(held.follow(0.01))
        await _until(lambda: not faults)
        await _until(lambda: held.served is not None and held.served.version == "2")
        follower.cancel()

    asyncio.run(scenario())
    assert held.served is not None


def test_a_champion_that_cannot_be_loaded_is_left_alone_until_the_pointer_changes(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def load_none(_model: type, _registry: Registry, version: str, _max_bytes: int) -> champion.Served:
        tried.append(version)
        raise IncompatibleModelVersion("It is of no use.")

    monkeypatch.setattr(champion, "load", load_none)
    monkeypatch.setattr(champion, "RETRY_SECONDS", 3600)
    held = Champion(Model, registry, 10**9)
    looks, look = [0], held._look  # noqa: SLF001 - how often it looks cannot be seen elsewhere

    def counted() -> tuple[int, int] | None:
        looks[0] += 1
        return look()

    monkeypatch.setattr(held, "_look", counted)

    async def scenario() -> None:
        follower = asyncio.create_task(held.follow(0.001))
        await _until(lambda: looks[0] > 20)
        assert tried == ["1"]
        registry.promote("2")
        await _until(lambda: tried == ["1", "2"])
        monkeypatch.setattr(champion, "RETRY_SECONDS", 0.001)
        registry.promote("1")
        await _until(lambda: len(tried) > 4)
        follower.cancel()

    asyncio.run(scenario())


def test_following_survives_counts_that_cannot_be_written(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(champion, "FLUSH_SECONDS", 0)
    flushes: list[None] = []

    def fail() -> None:
        flushes.append(None)
        raise RuntimeError("nobody foresaw this")

    held = Champion(Model, registry, 10**9)
    monkeypatch.setattr(held, "flush", fail)

    async def scenario() -> None:
        follower = asyncio.create_task(held.follow(0.001))
        await _until(lambda: len(flushes) > 2)
        follower.cancel()

    asyncio.run(scenario())

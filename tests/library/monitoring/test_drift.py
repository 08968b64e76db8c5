import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample.ml import Model

from mlapi.ml.reference import PREDICTION, histogram, measures
from mlapi.monitoring import drift
from mlapi.monitoring.drift import Drift, Tallies, chi_squared, compare, count

NAMES = [*measures(Model.Features, Model.dataset().X), PREDICTION]
REFERENCE = {"x": histogram(np.random.default_rng(0).normal(size=5_000))}


def drift_of(values: Any) -> Drift:
    (found,) = compare(REFERENCE, {"x": count(np.asarray(values, dtype=np.float64), REFERENCE["x"])})
    return found


def test_values_like_the_training_raise_an_alarm_about_once_in_a_thousand() -> None:
    random = np.random.default_rng(1)
    alarms = sum(drift_of(random.normal(size=2_000)).drifted for _ in range(500))
    assert alarms <= 4


@pytest.mark.parametrize("values", [lambda r: r.normal(0.2, 1, 2_000), lambda r: r.normal(0, 1.2, 2_000)])
def test_a_shift_and_a_wider_spread_raise_an_alarm(values: Callable[[Any], Any]) -> None:
    assert drift_of(values(np.random.default_rng(2))).drifted


def test_missing_values_are_drift_when_there_were_none() -> None:
    values = np.random.default_rng(3).normal(size=2_000)
    values[:100] = np.nan
    assert drift_of(values).drifted


def test_few_rows_raise_no_alarm_and_no_row_is_no_drift() -> None:
    assert not drift_of(np.full(999, 100.0)).drifted
    assert drift_of(np.full(1_000, 100.0)).drifted
    assert (drift_of([]).psi, drift_of([]).counted) == (0, 0)


def test_the_index_is_the_sum_of_the_textbook() -> None:
    reference = {"x": {"edges": [0.0], "counts": [500_000.0, 500_000.0], "missing": [0.0]}}
    (found,) = compare(reference, {"x": np.array([400_000, 600_000, 0])})
    assert found.psi == pytest.approx(-0.1 * np.log(0.4 / 0.5) + 0.1 * np.log(0.6 / 0.5), rel=1e-4)
    assert (found.then, found.now) == ((0.5, 0.5, 0), (0.4, 0.6, 0))


@pytest.mark.parametrize(("freedom", "quantile"), [(0, 0), (1, 10.83), (9, 27.88), (99, 148.23)])
def test_the_limit_uses_the_quantile_of_the_tables(freedom: int, quantile: float) -> None:
    assert chi_squared(freedom) == pytest.approx(quantile, rel=0.04)


TODAY = date(2026, 3, 9)


@pytest.fixture(autouse=True)
def _one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no day end during a test."""
    monkeypatch.setattr(drift, "_today", lambda: TODAY)


@pytest.fixture
def tallies(tmp_path: Path) -> Tallies:
    """Where to count."""
    return Tallies(tmp_path / "drift", 7)


def reference() -> dict[str, Any]:
    data = Model.dataset()
    seen = measures(Model.Features, data.X)
    return {name: histogram(values) for name, values in seen.items()} | {PREDICTION: histogram(data.y)}


def test_several_processes_add_up_and_a_restart_loses_nothing(tallies: Tallies, tmp_path: Path) -> None:
    data = Model.dataset()
    for _ in range(2):
        watch = Tallies(tmp_path / "drift", 7).watch(Model.Features, "1", reference())
        watch.see(data.X, data.y)
        watch.flush()
        watch.see(data.X[:5], data.y[:5])
        assert watch.waits
        watch.flush()
        watch.flush()
    found = tallies.drift("1", reference())
    assert [one.name for one in found] == NAMES
    assert {one.counted for one in found} == {2 * (len(data.y) + 5)}
    assert all(one.counted == 0 for one in tallies.drift("2", reference()))


def test_a_version_that_comes_back_goes_on_in_the_same_file(tallies: Tallies, tmp_path: Path) -> None:
    data = Model.dataset()
    for _ in range(3):
        watch = tallies.watch(Model.Features, "1", reference())
        watch.see(data.X, data.y)
        watch.flush()
    assert len(list(tmp_path.rglob("*.json"))) == 1
    assert tallies.drift("1", reference())[0].counted == 3 * len(data.y)


def test_only_counts_are_written_and_no_value(tallies: Tallies, tmp_path: Path) -> None:
    data = Model.dataset()
    watch = tallies.watch(Model.Features, "1", reference())
    watch.see(data.X, data.y)
    watch.flush()
    (path,) = tmp_path.rglob("*.json")
    content = json.loads(path.read_bytes())
    assert set(content) == set(NAMES)
    assert all(isinstance(value, int) for counts in content.values() for value in counts)


def test_old_days_do_not_count_and_are_removed(
    tallies: Tallies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for days_ago in (0, 6, 7):
        monkeypatch.setattr(drift, "_today", lambda days_ago=days_ago: TODAY - timedelta(days_ago))
        watch = Tallies(tmp_path / "drift", 99).watch(Model.Features, "1", reference())
        watch.see(Model.dataset().X, Model.dataset().y)
        watch.flush()
    monkeypatch.setattr(drift, "_today", lambda: TODAY)
    rows = len(Model.dataset().y)
    assert tallies.drift("1", reference(), days=1)[0].counted == rows
    assert tallies.drift("1", reference())[0].counted == 2 * rows
    assert len(list(tmp_path.rglob("*.json"))) == 3
    tallies.watch(Model.Features, "1", reference())
    assert len(list(tmp_path.rglob("*.json"))) == 2


def test_a_new_day_begins_at_zero(tallies: Tallies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Model.dataset()
    watch = tallies.watch(Model.Features, "1", reference())
    watch.see(data.X, data.y)
    watch.flush()
    monkeypatch.setattr(drift, "_today", lambda: date(2999, 1, 1))
    watch.see(data.X[:3], data.y[:3])
    watch.flush()
    counts = json.loads(next(tmp_path.rglob("2999-*.json")).read_bytes())
    assert sum(counts[PREDICTION]) == 3


def test_a_flood_is_not_kept_waiting_in_memory(tallies: Tallies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "MOST_WAITING", 10)
    data = Model.dataset()
    watch = tallies.watch(Model.Features, "1", reference())
    for _ in range(50):
        watch.see(data.X[:4], data.y[:4])
    watch.flush()
    assert tallies.drift("1", reference())[0].counted == 10


def test_counts_that_cannot_be_written_are_written_the_next_time(tallies: Tallies, tmp_path: Path) -> None:
    data = Model.dataset()
    watch = tallies.watch(Model.Features, "1", reference())
    (tmp_path / "drift").write_text("in the way")
    watch.see(data.X, data.y)
    with pytest.raises(OSError, match="drift"):
        watch.flush()
    (tmp_path / "drift").unlink()
    watch.see(data.X[:1], data.y[:1])
    watch.flush()
    assert tallies.drift("1", reference())[0].counted == len(data.y) + 1


def test_counts_that_could_not_be_written_wait_for_no_further_row(tallies: Tallies, tmp_path: Path) -> None:
    data = Model.dataset()
    watch = tallies.watch(Model.Features, "1", reference())
    (tmp_path / "drift").write_text("in the way")
    watch.see(data.X, data.y)
    with pytest.raises(OSError, match="drift"):
        watch.flush()
    assert watch.waits
    (tmp_path / "drift").unlink()
    watch.flush()
    assert not watch.waits
    assert tallies.drift("1", reference())[0].counted == len(data.y)


def test_counts_that_could_not_be_written_are_those_of_their_day(
    tallies: Tallies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Model.dataset()
    watch = tallies.watch(Model.Features, "1", reference())
    (tmp_path / "drift").write_text("in the way")
    watch.see(data.X, data.y)
    with pytest.raises(OSError, match="drift"):
        watch.flush()
    (tmp_path / "drift").unlink()
    monkeypatch.setattr(drift, "_today", lambda: date(2999, 1, 1))
    watch.see(data.X[:3], data.y[:3])
    watch.flush()
    before, after = sorted(tmp_path.rglob("*.json"))
    assert sum(json.loads(before.read_bytes())[PREDICTION]) == len(data.y)
    assert sum(json.loads(after.read_bytes())[PREDICTION]) == 3


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.json", "{}"),
        ("today.json", ""),
        ("today.json", "[]"),
        ("today.json", '{"(prediction)": ["a"]}'),
        ("today.json", '{"(prediction)": [1]}'),
        ("today.json", '{"(prediction)": null}'),
    ],
)
def test_a_file_that_holds_no_counts_is_left_out_and_named_once(
    tallies: Tallies, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, content: str
) -> None:
    data = Model.dataset()
    watch = tallies.watch(Model.Features, "1", reference())
    watch.see(data.X, data.y)
    watch.flush()
    stray = tmp_path / "drift" / "1" / name.replace("today", f"{TODAY}.x")
    stray.write_text(content)
    tallies.watch(Model.Features, "2", reference())
    for _ in range(2):
        assert tallies.drift("1", reference())[0].counted == len(data.y)
    assert stray.exists()
    assert caplog.text.count(f"{stray} holds no counts") == 1


def test_a_version_that_got_the_number_of_another_begins_at_zero(tallies: Tallies) -> None:
    data = Model.dataset()
    watch = tallies.watch(Model.Features, "1", {name: {"edges": [0.0], "counts": [1.0, 1.0]} for name in NAMES})
    watch.see(data.X, data.y)
    watch.flush()
    other = tallies.watch(Model.Features, "1", reference())
    other.see(data.X[:3], data.y[:3])
    other.flush()
    assert tallies.drift("1", reference())[0].counted == 3

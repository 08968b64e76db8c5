"""Files that projects of the first template have kept on the disk, taken over by projects of today's.

`tests/kept/make.py` made the files and tells how. Of a project nothing is used here but its command and its HTTPS, so
that this holds whatever the project is made of.
"""

import csv
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from service import Service, started, until
from workbench import PROBLEMS, ROOT, run

pytestmark = pytest.mark.full

KEPT = ROOT / "tests" / "kept"
PRECISION = 1e-6
"""Relative tolerance of a number to the one that was recorded: they are computed in single precision."""
EAGER = "import os\nos.nice = lambda _increment: 0\nos.sched_setscheduler = lambda *_: None\n"
"""Lets a training have its share of a busy machine, as the module `sitecustomize`: it would stand back for all else."""
Ready = Callable[[str], Path]


@dataclass(frozen=True)
class Kept:
    """A copy of what an old project has kept, and the command of a project of today that takes it over."""

    folder: Path
    program: Path
    environ: dict[str, str]
    record: dict[str, Any]
    """Answers of the old project."""
    secrets: dict[str, str]
    """The API keys by their owners."""

    @property
    def prefix(self) -> str:
        return f"{self.record['slug'].replace('-', '_').upper()}_"

    @property
    def versions(self) -> list[str]:
        found: list[str] = self.record["models"]["versions"]
        return found

    def command(self, *words: str | Path, **settings: str) -> Any:  # noqa: ANN401 - it is JSON
        """Run a command of the project and return what it prints."""
        return json.loads(self._run(words, 0, settings).stdout or "null")

    def refused(self, *words: str | Path, **settings: str) -> str:
        """Run a command that is to fail, and return what it says."""
        return self._run(words, 1, settings).stderr

    def _run(
        self, words: tuple[str | Path, ...], expect: int, settings: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        more = {f"{self.prefix}{name}": value for name, value in settings.items()}
        return run(self.program, *words, environ=self.environ | more, cwd=self.folder, expect=expect)

    def predict(self) -> object:
        """Predict the rows by the command."""
        rows = self.folder / "rows.csv"
        rows.write_text(self.table(), encoding="utf-8")
        return self.command("predict", rows, ALLOW_PICKLE="true")

    def table(self) -> str:
        file = io.StringIO()
        csv.writer(file).writerows([self.record["header"].split(","), *self.record["rows"]])
        return file.getvalue()


def unpacked(problem: str, project: Path, folder: Path, environ: dict[str, str]) -> Kept:
    """Unpack what was kept, as if the old project had been here and had predicted today."""
    record = json.loads((KEPT / f"{problem}.json").read_text(encoding="utf-8"))
    home = folder / "project"
    with tarfile.open(KEPT / f"{problem}.tar.xz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
        archive.extractall(home)
    for plan in home.glob("var/files/jobs/*/plan"):  # it names its files by whole addresses
        plan.write_bytes(plan.read_bytes().replace(record["folder"].encode(), home.as_uri().encode()))
    for counts in home.glob("var/drift/*/*.json"):  # which are of a day, and forgotten after some
        counts.rename(counts.with_name(f"{datetime.now(UTC).date()}{counts.name[10:]}"))
    (folder / "sitecustomize.py").write_text(EAGER, encoding="utf-8")
    secrets = json.loads((home / "secrets-of-the-test-keys.json").read_text(encoding="utf-8"))
    program = project / ".venv" / "bin" / record["slug"]
    return Kept(home, program, environ | {"PYTHONPATH": str(folder)}, record, secrets)


@pytest.fixture(params=PROBLEMS)
def kept(request: pytest.FixtureRequest, in_git: Ready, tmp_path: Path, environ: dict[str, str]) -> Kept:
    """Files of an old project of each problem, for a test to change."""
    return unpacked(request.param, in_git(request.param), tmp_path, environ)


@pytest.fixture(scope="module", params=PROBLEMS)
def served(
    request: pytest.FixtureRequest, in_git: Ready, tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]
) -> Iterator[tuple[Kept, Service]]:
    """Files of an old project of each problem, served without a worker: the tests leave them as they are."""
    folder = tmp_path_factory.mktemp("served")
    kept = unpacked(request.param, in_git(request.param), folder, environ)
    certificate = kept.folder / "var" / "tls" / "localhost.pem"
    before = certificate.read_bytes()
    with started(kept.program, kept.folder, "--no-worker", environ=kept.environ) as service:
        assert certificate.read_bytes() == before, "who trusts the old certificate goes on trusting the service"
        yield kept, service


def alike(ours: Any, theirs: Any) -> bool:  # noqa: ANN401 - they are JSON
    """Tell whether all that was recorded is there, the same; there may be more by now."""
    if isinstance(theirs, dict):
        return all(name in ours and alike(ours[name], value) for name, value in theirs.items())
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(alike, ours, theirs))
    return bool(ours == (pytest.approx(theirs, rel=PRECISION, abs=PRECISION) if isinstance(theirs, float) else theirs))


def value_of(metric: str, text: str) -> float:
    """Return the value of a series in the text of the metrics; 0 if it is not there."""
    found = re.search(rf"(?m)^{re.escape(metric)} (\S+)$", text)
    return float(found[1]) if found else 0.0


def test_the_versions_that_served_answer_the_very_same(served: tuple[Kept, Service]) -> None:
    kept, service = served
    traffic, recorded = kept.record["traffic"], kept.record["answers"]
    assert alike(service.ask("GET", "/traffic", key=kept.secrets["bob"]).json(), traffic)
    expected = {traffic["version"], traffic["canary"]} - {None}
    seen = set()

    def all_have_answered() -> bool:
        answer = service.ask("POST", "/predict", {"data": kept.record["rows"]}, key=kept.secrets["bob"])
        assert answer.status == 200, answer
        version = answer.json()["version"]
        assert alike(answer.json(), recorded[version]), answer
        seen.add(version)
        return seen == expected

    until(all_have_answered)
    if traffic["shadow"]:
        compared = f'shadow_rows_total{{version="{traffic["shadow"]}"}}'
        until(lambda: value_of(compared, metrics(kept, service)) >= len(kept.record["rows"]))


def metrics(kept: Kept, service: Service) -> str:
    return service.ask("GET", "/metrics", key=kept.secrets["prometheus"]).body.decode()


def test_the_keys_are_good_for_what_they_were(served: tuple[Kept, Service]) -> None:
    kept, service = served
    rows = {"data": kept.record["rows"]}

    def statuses(key: str | None) -> list[int]:
        requests = [("POST", "/predict", rows), ("GET", "/jobs", None), ("GET", "/metrics", None)]
        requests += [("POST", "/train", {"unknown": 1}), ("POST", "/models/99/promote", None)]
        return [service.ask(method, path, body, key=key).status for method, path, body in requests]

    assert {owner: statuses(kept.secrets[owner]) for owner in kept.record["keys"]} == {
        "ada": [403, 200, 403, 422, 403],
        "bob": [200, 403, 403, 403, 403],
        "carol": [200, 200, 200, 422, 404],
        "dora": [403, 200, 403, 403, 403],
        "prometheus": [403, 403, 200, 403, 403],
        "mallory": [401] * 5,
    }
    assert statuses("unknown") == statuses(None) == [401] * 5
    listed = {key["owner"]: sorted(key["scopes"]) for key in kept.command("keys", "list")}
    assert listed == {name: sorted(scopes) for name, scopes in kept.record["keys"].items() if name != "mallory"}


def test_the_settings_are_in_force(served: tuple[Kept, Service]) -> None:
    """All settings that have a value stand in the `.env`: a name that were not known any more would be refused."""
    kept, service = served
    bob = kept.secrets["bob"]
    rows = {"data": kept.record["rows"]}
    assert service.ask("POST", "/predict", {"data": kept.record["rows"][:1] * 501}, key=bob).status == 413
    first, again = (service.ask("POST", "/predict", rows, key=bob) for _ in range(2))
    assert first.headers["RateLimit-Policy"] == '"rate";q=5000;w=1, "quota";q=1000000;w=86400'
    assert first.headers["Strict-Transport-Security"].startswith("max-age=86400")
    assert (first.status, again.status) == (200, 200)
    until(lambda: service.ask("POST", "/predict", rows, key=bob) and hits(kept, service) > 0)
    allowed, other = (
        service.ask("GET", "/health/live", headers={"Origin": origin}).headers["Access-Control-Allow-Origin"]
        for origin in ("https://app.example.com", "https://other.example.com")
    )
    assert (allowed, other) == ("https://app.example.com", None)
    assert service.ask("GET", "/docs", headers={"Host": "other.example.com"}).status == 400
    until(lambda: any('"/predict"' in line and json.loads(line) for line in lines_of(service.log)))


def lines_of(log: Path) -> list[str]:
    """Return the whole lines of a log, which is written a moment after an answer."""
    return re.findall(r"(?m)^(\{.*)\n", log.read_text(encoding="utf-8"))


def hits(kept: Kept, service: Service) -> float:
    """Count the answers that came from the cache."""
    return value_of('cache_requests_total{result="hit"}', metrics(kept, service))


def test_the_jobs_are_there_for_their_owner_and_nobody_else(served: tuple[Kept, Service]) -> None:
    kept, service = served
    ada, carol, dora = (kept.secrets[owner] for owner in ("ada", "carol", "dora"))
    jobs = kept.record["jobs"]
    ids = {one["job"]["id"] for one in jobs.values()}
    for name, one in jobs.items():
        job = service.job(f"/jobs/{one['job']['id']}", ada)
        assert alike(job, one["job"]), name
        assert job["owner"] == "key:ada"
        assert service.ask("GET", f"/jobs/{one['job']['id']}", key=dora).status == 404
    assert set(listed(service, ada)) == set(listed(service, carol)) == ids
    assert listed(service, dora) == []


def listed(service: Service, key: str) -> list[str]:
    """List the ids of a caller's jobs, page by page."""
    found, cursor = [], ""
    while True:
        page = service.job(f"/jobs?limit=3{cursor}", key)
        found += [job["id"] for job in page["jobs"]]
        if page["cursor"] is None:
            return found
        cursor = f"&cursor={page['cursor']}"


def test_results_can_be_downloaded_and_an_idempotency_key_names_the_job_it_named(
    served: tuple[Kept, Service],
) -> None:
    kept, service = served
    ada, jobs = kept.secrets["ada"], kept.record["jobs"]
    scored = jobs["scored"]
    for name in ("result", "rejects"):
        answer = service.ask("GET", f"/jobs/{scored['job']['id']}/{name}", key=ada)
        assert (answer.status, answer.body.decode()) == (200, scored[name])
    in_lines = {"Accept": "application/x-ndjson"}
    answer = service.ask("GET", f"/jobs/{scored['job']['id']}/result", key=ada, headers=in_lines)
    assert len(answer.body.splitlines()) == scored["job"]["rows"] == len(kept.record["rows"])
    for name, one in jobs.items():
        headers = {"Idempotency-Key": one["idempotency_key"]}
        content: object = one.get("hyperparameters")
        if content is None:
            content, headers["Content-Type"] = kept.table().encode(), "text/csv"
        again = service.ask("POST", one["path"], content, key=ada, headers=headers)
        assert (again.status, again.json()["id"]) == (202, one["job"]["id"]), name
    assert len(listed(service, ada)) == len(jobs)


def test_commands_know_the_versions(kept: Kept) -> None:
    assert alike(kept.command("models", "list"), kept.record["models"])
    for version in kept.versions:
        manifest = next(kept.folder.glob(f"models/*/{version}/manifest.json"))
        assert alike(kept.command("models", "show", version), json.loads(manifest.read_text(encoding="utf-8")))
    assert alike(kept.predict(), kept.record["answers"]["1"])
    kept.command("models", "promote", "2")
    assert alike(kept.predict(), kept.record["answers"]["2"])
    assert kept.command("models", "list")["champion"] == "2"


def test_what_was_counted_counts_for_drift(kept: Kept) -> None:
    found = kept.command("drift")
    assert alike(found, kept.record["drift"])
    assert found["days"] == int(kept.record["settings"]["DRIFT_DAYS"])
    assert {one["rows"] for one in found["features"].values()} == {sum(range(300, 306))}
    with started(kept.program, kept.folder, "--no-worker", environ=kept.environ) as service:
        feature = next(iter(found["features"]))
        counted = value_of(f'drift_rows{{feature="{feature}"}}', metrics(kept, service))
        assert counted == sum(range(300, 306))


def test_jobs_that_waited_or_lost_their_worker_are_finished(kept: Kept) -> None:
    ada, jobs = kept.secrets["ada"], kept.record["jobs"]
    with started(kept.program, kept.folder, environ=kept.environ) as service:
        ended = {name: service.ended(f"/jobs/{one['job']['id']}", ada) for name, one in jobs.items()}
        wanted = {"failed": "failed", "cancelled": "cancelled"}
        assert {name: job["state"] for name, job in ended.items()} == {
            name: wanted.get(name, "succeeded") for name in jobs
        }, ended
        for name in ("trained", "scored", "failed", "cancelled"):
            assert alike(ended[name], jobs[name]["job"]), "what had ended stays as it was"
        check_trainings(kept, service, [ended["interrupted training"], ended["queued training"]])
        rows, answers = len(kept.record["rows"]), kept.record["answers"]
        large = ended["interrupted scoring"]
        assert (large["rows"], large["rejected"]) == (kept.record["large_rows"], 0)
        assert large["result"]["version"] == "1", "the version that was chosen when it began"
        lines = result(service, large, ada)
        assert lines == lines[:rows] * (kept.record["large_rows"] // rows)
        if "label" in answers["1"]:
            assert [line["label"] for line in lines[:rows]] == answers["1"]["label"]
        else:
            assert alike([float(line["prediction"]) for line in lines[:rows]], answers["1"]["prediction"])
        assert len(result(service, ended["queued scoring"], ada)) == rows
        assert len(result(service, ended["scored"], ada)) == rows, "it is not removed before its time"


def check_trainings(kept: Kept, service: Service, trainings: list[dict[str, Any]]) -> None:
    """Check that each of the trainings made a version, and nothing else did: the service trained none to begin with."""
    made = [job["result"]["version"] for job in trainings]
    newest = int(kept.versions[0])
    assert sorted(made, key=int) == [str(newest + 1), str(newest + 2)]
    found = service.ask("GET", "/models", key=kept.secrets["bob"]).json()["versions"]
    assert [one["version"] for one in found] == [str(number) for number in range(newest + 2, 0, -1)]
    promote = kept.record["settings"]["PROMOTE"]
    assert {job["result"]["promoted"] for job in trainings} == {promote != "never"}
    if promote == "better":
        tolerance = kept.record["settings"]["PROMOTE_TOLERANCE"]
        assert all(f"tolerance {tolerance}" in job["result"]["reason"] for job in trainings)
    (champion,) = (one["version"] for one in found if one["champion"])
    assert champion in (["1"] if promote == "never" else made)


def result(service: Service, job: dict[str, Any], key: str) -> list[dict[str, str]]:
    """Download the rows of a result."""
    answer = service.ask("GET", f"/jobs/{job['id']}/result", key=key, headers={"Accept": "text/csv"})
    assert answer.status == 200, answer
    return [*csv.DictReader(io.StringIO(answer.body.decode()))]


@pytest.mark.parametrize("kept", PROBLEMS[:1], indirect=True)
def test_a_version_that_serves_by_joblib_serves_with_the_scikit_learn_that_made_it(kept: Kept) -> None:
    """With another release it is refused, which is shown here then; the next test shows it always."""
    (manifest,) = kept.folder.glob("models/*/3/manifest.json")
    made_with = json.loads(manifest.read_text(encoding="utf-8"))["libraries"]["scikit-learn"]
    ask = "from importlib.metadata import version; print(version('scikit-learn'))"
    here = run(kept.program.with_name("python"), "-c", ask, environ=kept.environ, cwd=kept.folder).stdout.strip()
    allowed = kept.environ | {f"{kept.prefix}ALLOW_PICKLE": "true"}
    with started(kept.program, kept.folder, "--no-worker", environ=allowed) as service:
        answer = service.ask("POST", "/models/3/promote", key=kept.secrets["carol"])
        if made_with != here:
            assert answer.status == 409, answer
            assert f"scikit-learn {made_with}, and here is {here}" in answer.json()["detail"]
            pytest.skip(
                f"version 3 needs scikit-learn {made_with}, and here is {here}: it was refused, and never loaded"
            )
        assert answer.status == 200, answer
        until(lambda: service.ask("GET", "/health/ready").json()["version"] == "3")
        answer = service.ask("POST", "/predict", {"data": kept.record["rows"]}, key=kept.secrets["bob"])
        assert alike(answer.json(), kept.record["answers"]["3"])


@pytest.mark.parametrize("kept", PROBLEMS[:1], indirect=True)
def test_a_version_that_serves_by_joblib_is_refused_unless_it_is_allowed_and_fits(kept: Kept) -> None:
    refused = kept.refused("models", "promote", "3")
    assert f"set {kept.prefix}ALLOW_PICKLE=true" in refused
    (path,) = kept.folder.glob("models/*/3/manifest.json")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["libraries"]["scikit-learn"] = "0.18.1"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    refused = kept.refused("models", "promote", "3", ALLOW_PICKLE="true")
    assert "was made with scikit-learn 0.18.1, and here is" in refused
    assert kept.command("models", "list")["champion"] == "1"

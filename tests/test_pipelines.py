"""The pipelines: their form, the commands that they call, and what they publish, with a stand-in for the registry."""

import http.server
import io
import os
import re
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from workbench import BIN, ROOT, SLUG, UV, run

GITLAB, GITHUB = Path(".gitlab-ci.yml"), Path(".github/workflows/ci.yml")
SCHEMAS = {GITLAB: "vendor.gitlab-ci", GITHUB: "vendor.github-workflows"}
GIT = ("git", "-c", "user.name=Test", "-c", "user.email=test@example.com")


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> Path:
    folder = tmp_path_factory.mktemp("github")
    run(BIN / "mlapi", "new", "--no-input", "--output-dir", folder, "ci=github", environ=environ)
    return folder / SLUG


@pytest.fixture
def pipelines(project: Path, github: Path) -> dict[str, Path]:
    return {"project on GitLab": project / GITLAB, "project on GitHub": github / GITHUB, "template": ROOT / GITLAB}


def load(path: Path) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def fits(path: Path, environ: dict[str, str], schema: str = "") -> subprocess.CompletedProcess[str]:
    name = schema or next(name for file, name in SCHEMAS.items() if path.as_posix().endswith(file.as_posix()))
    return run(BIN / "check-jsonschema", "--builtin-schema", name, path, environ=environ, expect=None)


@pytest.mark.parametrize("name", ["project on GitLab", "project on GitHub", "template"])
def test_it_fits_its_schema(name: str, pipelines: dict[str, Path], environ: dict[str, str]) -> None:
    done = fits(pipelines[name], environ)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [("project on GitLab", "stage: lint", "stages: lint"), ("project on GitHub", "runs-on:", "run-on:")],
)
def test_a_slip_would_not_fit(
    name: str, right: str, wrong: str, pipelines: dict[str, Path], tmp_path: Path, environ: dict[str, str]
) -> None:
    path = pipelines[name]
    text = path.read_text(encoding="utf-8")
    assert right in text
    slipped = tmp_path / (GITHUB if path.name == "ci.yml" else GITLAB)
    slipped.parent.mkdir(parents=True, exist_ok=True)
    slipped.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    assert fits(slipped, environ).returncode == 1


def test_every_job_on_github_has_a_time_limit(github: Path, environ: dict[str, str]) -> None:
    done = fits(github / GITHUB, environ, "custom.github-workflows-require-timeout")
    assert done.returncode == 0, done.stdout


def test_expressions_of_github_survive_generating(github: Path) -> None:
    text = (github / GITHUB).read_text(encoding="utf-8")
    assert "${{ github.ref }}" in text
    assert re.findall(r"(?<!\$)\{\{|\{%|cookiecutter", text) == []


def test_actions_are_pinned_by_their_major_version_and_rights_are_few(github: Path) -> None:
    workflow = load(github / GITHUB)
    used = re.findall(r"uses: (\S+)", (github / GITHUB).read_text(encoding="utf-8"))
    assert used
    assert [action for action in used if not re.fullmatch(r"(actions|astral-sh)/[a-z-]+@v\d+", action)] == []
    assert workflow["permissions"] == {"contents": "read"}
    writing = {name for name, job in workflow["jobs"].items() if "write" in job.get("permissions", {}).values()}
    assert writing == {"version", "pages"}


@pytest.mark.parametrize("name", ["project on GitLab", "project on GitHub"])
def test_the_three_checks_are_those_of_the_makefile(name: str, pipelines: dict[str, Path], project: Path) -> None:
    text = pipelines[name].read_text(encoding="utf-8").replace("${{ matrix.target }}", "lint test docs")
    called = set(re.findall(r"make (?:(?:lint|test|docs) ?)+", text))
    targets = {target for call in called for target in call.split()[1:]}
    assert targets == {"lint", "test", "docs"}
    makefile = (project / "Makefile").read_text(encoding="utf-8")
    assert [target for target in targets if not re.search(rf"(?m)^{target}:", makefile)] == []


def test_nothing_is_published_before_every_check_has_passed(project: Path, github: Path) -> None:
    gitlab = load(project / GITLAB)
    checks = {"lint", "test", "docs", "build"}
    assert set(gitlab["version"]["needs"]) == checks
    assert {need for need in gitlab["pages"]["needs"] if isinstance(need, str)} == checks
    jobs = load(github / GITHUB)["jobs"]
    assert jobs["check"]["strategy"]["matrix"]["target"] == ["lint", "test", "docs"]
    assert set(jobs["version"]["needs"]) == set(jobs["pages"]["needs"]) == {"check", "build"}


@pytest.mark.full
@pytest.mark.parametrize(("tag", "code"), [("v0.1.0", 0), ("v9.9.9", 1), ("", 0)])
def test_gitlab_builds_a_wheel_that_works_for_the_tag_of_its_version(
    tag: str, code: int, installed: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    folder = tmp_path / SLUG
    run("cp", "-R", installed, folder, environ=environ)
    done = shell(load(folder / GITLAB)["build"]["script"], folder, environ | {"CI_COMMIT_TAG": tag}, code)
    assert ("differ" in done.stderr) is bool(code)
    built = sorted(path.name.split("-")[0] for path in folder.glob("dist/*.whl"))
    assert built == ([] if code else ["iris_api", "mlapi_engine"]), "the one cannot be installed without the other"


def shell(script: list[str], folder: Path, environ: dict[str, str], code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a job's script as a runner does: one shell that ends at the first failure."""
    path = f"{Path(UV).parent}{os.pathsep}{environ['PATH']}"
    text = "\n".join(script)
    return run("bash", "-eo", "pipefail", "-c", text, environ=environ | {"PATH": path}, cwd=folder, expect=code)


@dataclass
class Registry:
    """A stand-in for the package registry: keeps what is put, gives it back to whoever shows the token."""

    kept: dict[str, bytes] = field(default_factory=dict)
    broken: bool = False
    url: str = ""


class Handler(http.server.BaseHTTPRequestHandler):
    registry: Registry

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["JOB-TOKEN"] == "token":
            self.registry.kept[self.path] = body
        self.answer(201 if self.headers["JOB-TOKEN"] == "token" else 401)

    def do_GET(self) -> None:
        found = self.registry.kept.get(self.path)
        if self.registry.broken:
            self.answer(500)
        elif self.headers["JOB-TOKEN"] != "token":
            self.answer(401)
        else:
            self.answer(404 if found is None else 200, found or b"")

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        del format, args


@pytest.fixture
def registry() -> Iterator[Registry]:
    kept = Registry()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Handler,), {"registry": kept}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_port}/version"
    yield kept
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def repository(tmp_path: Path, environ: dict[str, str]) -> Path:
    """A clone with a tag v0.1.0 and a newer main, whose site is one page that names the commit."""
    origin, folder = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    run("git", "init", "-q", "-b", "main", environ=environ, cwd=origin)
    makefile = ".PHONY: docs\ndocs:\n\tmkdir -p docs/_build/html/.doctrees && cp page.txt docs/_build/html/index.html\n"
    (origin / "Makefile").write_text(makefile, encoding="utf-8")
    for page, tags in (("first", ["v0.1.0"]), ("second", ["other", "v0.0.9"]), ("third", [])):
        (origin / "page.txt").write_text(page, encoding="utf-8")
        run("git", "add", "-A", environ=environ, cwd=origin)
        run(*GIT, "commit", "-q", "-m", page, environ=environ, cwd=origin)
        for tag in tags:
            run("git", "tag", tag, environ=environ, cwd=origin)
    run("git", "clone", "-q", origin, folder, environ=environ)
    return folder


def pipeline(project: Path, folder: Path, environ: dict[str, str], tag: str = "") -> None:
    """Run what publishes, in the order of the pipeline, after the site and the wheel were built."""
    jobs = load(project / GITLAB)
    run("git", "checkout", "-q", tag or "main", environ=environ, cwd=folder)
    run("git", "clean", "-dfxq", environ=environ, cwd=folder)
    run("make", "-s", "docs", environ=environ, cwd=folder)
    (folder / "dist").mkdir()
    (folder / "dist" / "iris.whl").write_bytes(b"wheel")
    scripts = [jobs["version"]["script"]] if tag else []
    for script in [*scripts, jobs["pages"]["script"]]:
        shell(script, folder, environ)


def pages(folder: Path) -> dict[str, str]:
    public = folder / "public"
    found = sorted(path for path in public.rglob("*") if path.is_file())
    return {path.relative_to(public).as_posix(): path.read_text(encoding="utf-8") for path in found}


def on_gitlab(environ: dict[str, str], registry: Registry, tag: str = "", token: str = "token") -> dict[str, str]:
    given = {"CI_DEFAULT_BRANCH": "main", "CI_COMMIT_TAG": tag, "CI_JOB_TOKEN": token, "VERSIONS": registry.url}
    return environ | given


def test_gitlab_keeps_each_version_and_shows_main_at_the_root(
    project: Path, repository: Path, registry: Registry, environ: dict[str, str]
) -> None:
    tagged = on_gitlab(environ, registry, "v0.1.0")
    pipeline(project, repository, tagged, "v0.1.0")
    assert sorted(registry.kept) == ["/version/v0.1.0/iris.whl", "/version/v0.1.0/site.tar.gz"]
    expected = {"index.html": "third", "v0.1.0/index.html": "first"}
    assert pages(repository) == expected, "the root is main, though the tag stands on an older commit"
    pipeline(project, repository, on_gitlab(environ, registry))
    assert pages(repository) == expected, "a tag without a site, such as v0.0.9, is passed over"


def test_gitlab_does_not_let_a_version_vanish_when_the_registry_fails(
    project: Path, repository: Path, registry: Registry, environ: dict[str, str]
) -> None:
    registry.broken = True
    # curl tries a server error again, which only takes time here.
    script = [line.replace("--retry 3", "--retry 0") for line in load(project / GITLAB)["pages"]["script"]]
    run("make", "-s", "docs", environ=environ, cwd=repository)
    done = shell(script, repository, on_gitlab(environ, registry), 1)
    assert "The site of v0.0.9 cannot be fetched: HTTP 500" in done.stderr


def test_gitlab_fails_when_a_version_cannot_be_kept(
    project: Path, repository: Path, registry: Registry, environ: dict[str, str]
) -> None:
    refused = on_gitlab(environ, registry, "v0.1.0", token="wrong")
    with pytest.raises(AssertionError, match="401"):
        pipeline(project, repository, refused, "v0.1.0")
    assert registry.kept == {}


GH = """\
#!/bin/sh
# A stand-in for GitHub's command: two releases, of which one has a site.
case "$1 $2" in
    "api --paginate") echo v0.1.0 ;;
    "release download") test "$3" = v0.1.0 && cp "$SITE" site.tar.gz ;;
    *) exit 1 ;;
esac
"""


def test_github_puts_each_released_version_beside_main(github: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    bin_, work = tmp_path / "bin", tmp_path / "work"
    for folder in (bin_, work / "public"):
        folder.mkdir(parents=True)
    (bin_ / "gh").write_text(GH, encoding="utf-8")
    (bin_ / "gh").chmod(0o755)
    (work / "public" / "index.html").write_text("main", encoding="utf-8")
    with tarfile.open(tmp_path / "site.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("./index.html")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"first"))
    steps = load(github / GITHUB)["jobs"]["pages"]["steps"]
    script = next(step["run"] for step in steps if "run" in step)
    stood_in = {"PATH": f"{bin_}:{environ['PATH']}", "SITE": str(tmp_path / "site.tar.gz"), "GH_REPO": "a/b"}
    run("bash", "-e", "-c", script, environ=environ | stood_in, cwd=work)
    assert pages(work) == {"index.html": "main", "v0.1.0/index.html": "first"}

"""The images and what runs them, in a real engine. Skipped out loud where there is none, or an image cannot be had."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from workbench import BIN, SLUG, run

PYTHON = ("python:3.12-slim", "ghcr.io/astral-sh/uv:0.13")
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


def docker(*arguments: str | Path, cwd: Path | None = None, expect: int | None = 0) -> str:
    """Run the client with this process's environment, which tells it where the engine is; return what it printed."""
    done = subprocess.run(
        ["docker", *map(str, arguments)],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    if expect is not None:
        assert done.returncode == expect, f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def at_hand(image: str) -> bool:
    """Tell whether an image is here, or can be fetched."""
    known = ["docker", "image", "inspect", image]
    fetch = ["docker", "pull", "--quiet", image]
    return any(
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=300).returncode == 0
        for command in (known, fetch)
    )


def need(*images: str) -> None:
    """Skip unless there is an engine that has or gets these images."""
    if shutil.which("docker") is None:
        pytest.skip("there is no Docker here")
    if subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=60).returncode:
        pytest.skip("there is no Docker Engine to be reached here")
    if missing := [image for image in images if not at_hand(image)]:
        pytest.skip(f"these images cannot be had here: {', '.join(missing)}")


def test_the_dockerfile_is_well_made(project: Path, environ: dict[str, str]) -> None:
    run(BIN / "hadolint", project / "Dockerfile", environ=environ)


@pytest.fixture(scope="module")
def source(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the default project, to build from."""
    return shutil.copytree(project, tmp_path_factory.mktemp("images") / SLUG)


@pytest.fixture(scope="module")
def volume() -> Iterator[str]:
    """A volume with a model and a key in it."""
    need(*PYTHON)
    name = docker("volume", "create")
    yield name
    docker("volume", "rm", "--force", name)


def built(source: Path, target: str, *more: str | Path) -> list[str]:
    """Build an image and return its layers."""
    docker("build", "--quiet", "--target", target, "--tag", f"{SLUG}-test:{target}", *more, source)
    return layers(f"{SLUG}-test:{target}")


def layers(image: str) -> list[str]:
    found: list[str] = json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image))
    return found


@pytest.mark.slow
@pytest.mark.full
def test_a_change_of_the_code_or_of_the_model_makes_one_new_layer(source: Path, tmp_path: Path) -> None:
    need(*PYTHON)
    models = tmp_path / "models"
    models.mkdir()
    (models / "champion.json").write_text("{}", encoding="utf-8")
    with_models = ("--build-context", f"models={models}")
    api, worker, baked = (built(source, "api"), built(source, "worker"), built(source, "baked", *with_models))
    about = next(source.glob("src/*/about.toml"))
    about.write_text(about.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    for before, after in ((api, built(source, "api")), (worker, built(source, "worker"))):
        assert before[:-1] == after[:-1]
        assert before[-1] != after[-1]
    changed = built(source, "baked", *with_models)
    assert [old == new for old, new in zip(baked, changed, strict=True)].count(False) == 1
    (models / "champion.json").write_text('{"version": "1"}', encoding="utf-8")
    assert built(source, "baked", *with_models)[:-1] == changed[:-1]


@pytest.mark.slow
@pytest.mark.full
def test_images_run_without_rights_on_a_file_system_that_nobody_can_change(source: Path, volume: str) -> None:
    need(*PYTHON)
    built(source, "api")
    built(source, "worker")
    contained = ("run", "--rm", *HARDENED, "--volume", f"{volume}:/data")
    docker(*contained, f"{SLUG}-test:worker", "train")
    key = docker(*contained, f"{SLUG}-test:api", "keys", "create", "test", "--scope", "predict")
    told = docker(*contained, f"{SLUG}-test:api", "--version")
    assert re.fullmatch(rf"{SLUG} 0\.1\.0 \(mlapi-engine 0\.2\.\d+\)", told), "the library comes from vendor"
    modules = "import importlib.util as u; print([u.find_spec(n) for n in ('sklearn', 'skl2onnx', 'scipy')])"
    assert docker("run", "--rm", "--entrypoint", "python", f"{SLUG}-test:api", "-c", modules) == "[None, None, None]"
    detached = ("run", "--detach", *HARDENED, "--volume", f"{volume}:/data")
    container = docker(*detached, f"{SLUG}-test:api")
    try:
        wait = "until test \"$(docker inspect --format '{{.State.Health.Status}}' $0)\" = healthy; do sleep 0.2; done"
        subprocess.run(["bash", "-c", wait, container], check=True, timeout=120)
        call = (
            "import json, ssl, sys, urllib.request as r\n"
            "body = json.dumps({'data': [[5.1, 3.5, 1.4, 0.2]]}).encode()\n"
            "headers = {'Content-Type': 'application/json', 'X-API-Key': sys.argv[1]}\n"
            "request = r.Request('https://localhost:8443/predict', body, headers)\n"
            "trust = ssl.create_default_context(cafile='/data/var/tls/localhost.pem')\n"
            "print(r.urlopen(request, context=trust).read().decode())\n"
        )
        assert json.loads(docker("exec", container, "python", "-c", call, key))["label"] == ["setosa"]
        assert docker("exec", container, "id", "--user") == "10001"
        docker("stop", "--time", "60", container)
        assert docker("inspect", "--format", "{{.State.ExitCode}}", container) == "0"
    finally:
        docker("rm", "--force", container)

"""How long images take to build and how large they are: `python benchmarks/images.py PROJECT`.

PROJECT is a generated project. It is copied, so it stays as it is. The engine's whole build cache is removed first, so
that the first build is cold. Needs Docker with BuildKit, and the base images at hand, whose download is not measured.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TARGETS = ("api", "worker")
SINGLE = """
FROM python:3.12-slim
COPY --from=ghcr.io/astral-sh/uv:0.13 /uv /usr/local/bin/uv
WORKDIR /app
ENV UV_COMPILE_BYTECODE=1
COPY . .
RUN uv sync --locked --no-default-groups --group train --no-editable
ENTRYPOINT ["uv", "run", "--no-sync"]
"""
"""The same service by the shortest Dockerfile: one stage, code and libraries together, uv and its cache left in."""


def main() -> int:
    """Build each image after each change and print what it took, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    project = parser.parse_args().project
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".venv", "var", "models", ".git"))
        models = copy / "models"
        models.mkdir()
        (models / "model").write_bytes(bytes(1_000_000))
        print(json.dumps(measured(copy, models), indent=2))
    return 0


def measured(project: Path, models: Path) -> dict[str, object]:
    """Return seconds and bytes: at first, after a change of the code alone, and of the model alone."""
    docker("builder", "prune", "--all", "--force")
    found: dict[str, object] = {}
    code = next((project / "src").glob("*/about.toml"))
    single = project / "Dockerfile.single"
    single.write_text(SINGLE, encoding="utf-8")
    for when in ("cold", "code", "model"):
        if when == "code":
            code.write_text(code.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
        elif when == "model":
            (models / "model").write_bytes(bytes(1_000_001))
        for target in (*TARGETS, "baked", "single"):
            found[f"{when} {target}"] = build(project, target)
    found["bytes"] = {image: size(image) for image in (*TARGETS, "baked", "single", "python:3.12-slim")}
    return found


def build(project: Path, target: str) -> dict[str, float]:
    """Build an image; return the seconds and how many of its steps were taken from the cache."""
    chosen = ["--file", str(project / "Dockerfile.single")] if target == "single" else ["--target", target]
    context = ["--build-context", f"models={project / 'models'}"] if target == "baked" else []
    started = time.perf_counter()
    said = docker("build", "--progress=plain", *chosen, *context, "--tag", tag(target), str(project))
    seconds = time.perf_counter() - started
    return {"seconds": round(seconds, 1), "reused": len(re.findall("(?m)^#[0-9]+ CACHED$", said))}


def tag(target: str) -> str:
    """Return what an image is called; a name with a colon is one."""
    return target if ":" in target else f"benchmark:{target}"


def size(target: str) -> int:
    """Return the bytes of an image, unpacked, its base included."""
    return int(docker("image", "inspect", "--format", "{{.Size}}", tag(target)))


def docker(*arguments: str) -> str:
    """Run Docker; return what it said."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        sys.exit(f"docker {' '.join(arguments)}: {done.stderr}")
    return done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())

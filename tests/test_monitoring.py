"""The alerts and the configuration of Prometheus, judged by its own tool: on the PATH, or else in its image."""

import shutil
from pathlib import Path

import pytest
from test_compose import SERVICES
from test_containers import docker, need
from workbench import run

PROMETHEUS = next(image for image in SERVICES if "prometheus" in image)


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "rules.yaml"),
        ("test", "rules", "rules_test.yaml"),
        ("check", "config", "--syntax-only", "prometheus.yaml"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_promtool_finds_nothing_wrong(arguments: tuple[str, ...], project: Path, environ: dict[str, str]) -> None:
    folder = project / "deploy" / "monitoring"
    if promtool := shutil.which("promtool"):
        run(promtool, *arguments, environ=environ, cwd=folder)
        return
    need(PROMETHEUS)
    mount = ("--volume", f"{folder}:/rules:ro", "--workdir", "/rules", "--user", "0")
    docker("run", "--rm", *mount, "--entrypoint", "promtool", PROMETHEUS, *arguments)

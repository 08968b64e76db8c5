"""What a generated project is made of: hashes, a list of it all, a look for weaknesses and secrets."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from workbench import SLUG, TEMPLATE, UV, run

LOCK = tomllib.loads((TEMPLATE / "uv.lock").read_text(encoding="utf-8"))


def test_every_package_is_locked_with_its_hashes() -> None:
    """All but the project itself, and the library, whose wheel lies beside the lock."""
    beside = [{"editable": "."}, {"registry": "vendor"}]
    assert [package["name"] for package in LOCK["package"] if package["source"] == beside[1]] == ["mlapi-engine"]
    packages = [package for package in LOCK["package"] if package["source"] not in beside]
    assert len(packages) > 50
    for package in packages:
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        assert files, package["name"]
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", file["hash"]) for file in files), package["name"]


@pytest.fixture
def repository(installed: Path, tmp_path: Path, environ: dict[str, str]) -> Path:
    """The installed project, in git."""
    folder = shutil.copytree(installed, tmp_path / SLUG, symlinks=True)
    run(UV, "sync", "--quiet", "--locked", "--all-groups", environ=environ, cwd=folder)
    run("git", "init", "-q", environ=environ, cwd=folder)
    run("git", "add", "-A", environ=environ, cwd=folder)
    return folder


@pytest.mark.full
def test_a_secret_in_a_file_is_found_and_what_was_generated_has_none(repository: Path, environ: dict[str, str]) -> None:
    """Then it asks a service, which is not there, and says so: nobody looked is not the same as nothing found."""
    offline = environ | {"HTTPS_PROXY": "http://127.0.0.1:9", "UV_HTTP_RETRIES": "0"}
    clean = run("make", "audit", environ=offline, cwd=repository, expect=2)
    assert "Potential secrets" not in clean.stdout
    assert "osv.dev" in clean.stderr
    key = f"AKIA{'IOSFODNN7EXAMPL1'}"  # in two parts, or it would be found here
    (repository / "deploy.sh").write_text(f"export AWS_ACCESS_KEY_ID={key}\n", encoding="utf-8")
    run("git", "add", "-A", environ=environ, cwd=repository)
    found = run("make", "audit", environ=offline, cwd=repository, expect=2)
    assert "deploy.sh:1" in found.stdout
    assert key not in found.stdout


@pytest.mark.full
def test_the_list_of_what_an_image_holds_names_each_package_once(repository: Path, environ: dict[str, str]) -> None:
    run("make", "sbom", environ=environ, cwd=repository)
    names = {}
    for image in ("sbom", "sbom-api"):
        bom = json.loads((repository / "dist" / f"{image}.cdx.json").read_text(encoding="utf-8"))
        assert (bom["bomFormat"], bom["metadata"]["component"]["name"]) == ("CycloneDX", SLUG)
        names[image] = {component["name"] for component in bom["components"]}
    assert {"fastapi", "mlapi-engine", "onnxruntime", "uvicorn"} < names["sbom-api"] < names["sbom"]
    assert names["sbom"] - names["sbom-api"] >= {"scikit-learn", "skl2onnx"}
    assert names["sbom"].isdisjoint({"pytest", "ruff", "sphinx"})

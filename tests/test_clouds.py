"""What runs the service in a cluster or on AWS, validated: nothing here runs it there."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from workbench import BIN, run

OVERLAYS = ("local", "production")


def kustomized(project: Path, overlay: str, environ: dict[str, str]) -> str:
    """Return the manifests of an overlay, put together by kustomize or by kubectl, whose own it is."""
    folder = project / "deploy" / "kubernetes" / "overlays" / overlay
    if kustomize := shutil.which("kustomize"):
        return run(kustomize, "build", folder, environ=environ).stdout
    if kubectl := shutil.which("kubectl"):
        built = run(kubectl, "kustomize", folder, environ=environ, expect=None)
        if built.returncode == 0:
            return built.stdout
    pytest.skip("there is no kustomize here, nor a kubectl that is new enough: the overlays were not put together")


def pods(documents: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield from (one["spec"]["template"]["spec"] for one in documents if one["kind"] == "Deployment")


def test_every_manifest_is_valid(project: Path, environ: dict[str, str]) -> None:
    base = project / "deploy" / "kubernetes" / "base"
    manifests = [path for path in sorted(base.glob("*.yaml")) if path.name != "kustomization.yaml"]
    assert len(manifests) >= 5
    run(BIN / "kubernetes-validate", "--strict", *manifests, environ=environ)
    listed = yaml.safe_load((base / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert listed == [path.name for path in manifests]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_is_valid_once_it_is_put_together(
    overlay: str, project: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    built = tmp_path / "built.yaml"
    built.write_text(kustomized(project, overlay, environ), encoding="utf-8")
    run(BIN / "kubernetes-validate", "--strict", built, environ=environ)
    documents = list(yaml.safe_load_all(built.read_text(encoding="utf-8")))
    names = {(one["kind"], one["metadata"]["name"]) for one in documents}
    for pod in pods(documents):
        for source in pod["containers"][0]["envFrom"]:
            assert ("ConfigMap", source["configMapRef"]["name"]) in names
    services = {one["metadata"]["name"]: one for one in documents if one["kind"] == "Service"}
    ingress = next(one for one in documents if one["kind"] == "Ingress")
    backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend["port"]["name"] in {port["name"] for port in services[backend["name"]]["spec"]["ports"]}


def test_every_container_is_contained_and_every_pod_asked_for_its_health(project: Path) -> None:
    documents = [
        document
        for path in (project / "deploy" / "kubernetes" / "base").glob("*.yaml")
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]
    found = list(pods(documents))
    assert len(found) == 2
    for pod in found:
        assert pod["enableServiceLinks"] is False
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        for container in pod["containers"]:
            assert container["livenessProbe"]["httpGet"]["scheme"] == "HTTPS"
            assert container["startupProbe"]


def test_the_stack_is_valid(project: Path, environ: dict[str, str]) -> None:
    done = run(BIN / "cfn-lint", "--format", "json", project / "deploy" / "aws" / "stack.yaml", environ=environ)
    assert json.loads(done.stdout or "[]") == []


def test_the_page_says_every_parameter_of_the_stack_that_has_no_default(project: Path) -> None:
    page = (project / "docs" / "how-to" / "clouds.md").read_text(encoding="utf-8")
    listed = json.loads(re.findall(r"<!-- file: parameters.json -->\n```json\n(.*?)```", page, re.DOTALL)[0])
    stack = (project / "deploy" / "aws" / "stack.yaml").read_text(encoding="utf-8")
    parameters = yaml.load(stack.partition("\nResources:")[0], yaml.SafeLoader)["Parameters"]
    assert [one.partition("=")[0] for one in listed] == [n for n, about in parameters.items() if "Default" not in about]

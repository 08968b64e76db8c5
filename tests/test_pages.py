"""Blocks of the pages that the library's tests skip, because they need more than these have, are run here.

Each block is read from its page by `tests/library/docs/test_pages.py`, told here what there is.
Skipped out loud where an engine, its images, kubectl or PyTorch's index are not to be had.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import taking_what_kubectl_sends
from test_compose import GRAFANA, SERVICES
from test_containers import PYTHON, at_hand, docker, need
from workbench import TEMPLATE, UV, free_port, run

LONGEST = 3000.0
NOTE = re.compile(r"^<!-- with ([\w-]+): ", re.MULTILINE)
DONE = {"aws", "docker", "kubectl", "mlflow", "pytorch", "uv"}  # here; with MLflow's server in test_stages.py
STARTED = {"bucket", "data"}  # by the library's tests
STAND_IN = """
import socket, sys
from moto.efs import models
for kind, arn in ((models.FileSystem, "file_system_arn"), (models.AccessPoint, "access_point_arn")):
    kind.get_cfn_attribute = lambda self, name, arn=arn: getattr(self, arn)  # which moto lacks
from moto.server import main
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
"""


def test_whatever_a_page_needs_besides_is_had_by_a_test() -> None:
    pages = [*TEMPLATE.rglob("docs/**/*.md"), TEMPLATE / "README.md", TEMPLATE / "CONTRIBUTING.md"]
    assert {name for page in pages for name in NOTE.findall(page.read_text(encoding="utf-8"))} == DONE | STARTED


@pytest.fixture(scope="module")
def equipped(tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> Path:
    """A project with all of its own packages, whose name nothing else on this machine has: images, volumes, stacks."""
    folder, slug = tmp_path_factory.mktemp("pages"), f"pages-{uuid.uuid4().hex[:8]}"
    write = (sys.executable, "tools/sample.py", "--uv", UV, "--into", folder, "--slug", slug)
    return Path(run(*write, "classification", environ=environ).stdout.strip())


def do_what_pages_show(name: str, project: Path, environ: dict[str, str], **more: str) -> None:
    """Do what the pages show that needs something of this name; nothing of it may be skipped."""
    path = f"{environ['PATH']}{os.pathsep}{Path(UV).parent}"
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/library/docs/test_pages.py")
    told = {"PATH": path, "TEST_WITH": name, "TEST_PROJECT": str(project), "UV": UV}
    done = run(*command, "-k", f"with_more and md-{name}", environ=environ | told | more, timeout=LONGEST)
    assert re.search(r"\b\d+ passed", done.stdout), done.stdout
    assert "skipped" not in done.stdout, done.stdout


@pytest.mark.slow
@pytest.mark.full
def test_commands_that_make_environments_and_fetch_tools_work(equipped: Path, environ: dict[str, str]) -> None:
    do_what_pages_show("uv", equipped, environ)


@pytest.mark.slow
@pytest.mark.full
def test_pytorch_is_added_as_its_page_says(equipped: Path, environ: dict[str, str]) -> None:
    page = (equipped / "docs" / "how-to" / "torch.md").read_text(encoding="utf-8")
    (host,) = re.findall(r"--index \w+=https://([^/]+)", page)
    try:
        socket.create_connection((host, 443), timeout=20).close()
    except OSError:
        pytest.skip(f"{host} cannot be reached here: nothing was installed from it")
    do_what_pages_show("pytorch", equipped, environ)


@pytest.mark.slow
@pytest.mark.full
def test_containers_are_built_and_run_as_the_pages_say(equipped: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    need(*PYTHON, *SERVICES)
    slug, more = equipped.name, {name: str(free_port()) for name in ("PROMETHEUS_PORT", "GRAFANA_PORT")}
    if not at_hand(GRAFANA):
        (tmp_path / "without.yaml").write_text("services: {grafana: {profiles: [not-here]}}", encoding="utf-8")
        more["COMPOSE_FILE"] = f"compose.yaml{os.pathsep}{tmp_path / 'without.yaml'}"
    try:
        do_what_pages_show("docker", equipped, environ, **more)
        status = docker("inspect", "--format", "{{.State.Status}}", slug)
        assert status == "running", docker("logs", slug)
    finally:
        docker("rm", "--force", slug, expect=None)
        docker("compose", "--project-name", slug, "down", "--volumes", "--timeout", "5", expect=None)
        for volume in docker("volume", "ls", "--quiet", "--filter", f"name={slug}").split():
            docker("volume", "rm", "--force", volume, expect=None)


@pytest.mark.slow
@pytest.mark.full
def test_a_cluster_takes_what_kubectl_sends_as_the_page_says(
    equipped: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl here")
    own, key = tmp_path / "fullchain.pem", tmp_path / "privkey.pem"
    openssl = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost")
    run(*openssl, "-keyout", key, "-out", own, environ=environ)
    instead = json.dumps({"fullchain.pem": str(own), "privkey.pem": str(key)})
    with taking_what_kubectl_sends() as (cluster, configuration):
        (tmp_path / "kubeconfig").write_text(json.dumps(configuration), encoding="utf-8")
        there = {"KUBECONFIG": str(tmp_path / "kubeconfig"), "TEST_INSTEAD": instead}
        do_what_pages_show("kubectl", equipped, environ, **there)
    slug = equipped.name
    assert {place for place, _, _ in cluster.things} == {"", slug}
    made = {name for _, kind, name in cluster.things if kind == "Secret"}
    wanted = set(re.findall(r'"secretName": "([^"]+)"', json.dumps([*cluster.things.values()])))
    assert wanted, "the manifests name secrets"
    assert wanted <= made, "and the commands before make each of them"


@pytest.fixture
def account(tmp_path: Path, environ: dict[str, str]) -> Iterator[dict[str, str]]:
    """The variables that lead to a stand-in for AWS, and what it has in the place of what the page names."""
    home = tmp_path / "aws"
    run(UV, "venv", "--quiet", home, environ=environ)
    python = home / "bin" / "python"
    run(UV, "pip", "install", "--quiet", "--python", python, "awscli", "moto[all,server]>=5.1", environ=environ)
    port = str(free_port())
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "anything",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "PATH": f"{home / 'bin'}{os.pathsep}{environ['PATH']}{os.pathsep}{Path(UV).parent}",
    }
    asking = environ | variables

    def aws(*words: str) -> list[str]:
        return run(home / "bin" / "aws", *words, "--output", "text", environ=asking).stdout.split()

    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([python, "-c", STAND_IN, port], env=asking, stdout=log, stderr=log)
    try:
        again = ("--retry", "60", "--retry-connrefused", "--retry-delay", "1")
        run("curl", "-sS", *again, variables["AWS_ENDPOINT_URL"], environ=environ)
        (network,) = aws("ec2", "describe-vpcs", "--query", "Vpcs[0].VpcId")
        first, second, *_ = aws("ec2", "describe-subnets", "--query", "Subnets[].SubnetId")
        certificate = aws("acm", "request-certificate", "--domain-name", "iris.example.com")
        named = ["vpc-0123456789abcdef0", "subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
        named.append("arn:aws:acm:eu-central-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef")
        there = dict(zip(named, [network, first, second, *certificate], strict=True))
        yield variables | {"TEST_INSTEAD": json.dumps(there)}
        assert aws("cloudformation", "describe-stacks", "--query", "Stacks[].StackStatus") == ["CREATE_COMPLETE"]
    finally:
        server.kill()
        server.wait()


@pytest.mark.slow
@pytest.mark.full
def test_aws_makes_the_stack_as_the_page_says(equipped: Path, account: dict[str, str], environ: dict[str, str]) -> None:
    do_what_pages_show("aws", equipped, environ, **account)

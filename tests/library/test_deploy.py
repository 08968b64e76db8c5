"""What is beside the code to run it elsewhere speaks of metrics, settings and secrets that there are."""

import json
import re
import runpy
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from sample.settings import Settings

from mlapi.keys import KeyStore
from mlapi.monitoring.jobs import JobMetrics
from mlapi.monitoring.metrics import Metrics

from rig.names import PREFIX
from rig.sample import PROJECT

DEPLOY = PROJECT / "deploy"
DASHBOARD = json.loads((DEPLOY / "monitoring/grafana/dashboard.json").read_text(encoding="utf-8"))
ENDINGS = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
NOT_METRICS = re.compile(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(by|on|without) \([^)]*\)|\$\w+')
WORDS = {"and", "or", "unless"}
OF_PROMETHEUS = {"up"}


def metrics() -> set[str]:
    """Name all metrics as Prometheus knows them."""
    families = [*Metrics().families(), *JobMetrics().families()]
    return {f"{family.name}{ending}" for family in families for ending in ENDINGS[family.kind]}


def named(expression: str) -> set[str]:
    """Name the metrics in an expression: words that are neither functions nor labels."""
    bare = NOT_METRICS.sub(" ", expression)
    return set(re.findall(r"\b[a-z_]\w*\b(?! *\()", bare)) - WORDS


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def rules() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load((DEPLOY / "monitoring/rules.yaml").read_text(encoding="utf-8"))["groups"]:
        yield from group["rules"]


def test_every_metric_of_the_dashboard_exists() -> None:
    for panel in panels():
        for target in panel["targets"]:
            assert named(target["expr"]), panel["title"]
            assert named(target["expr"]) <= metrics() | OF_PROMETHEUS, panel["title"]


def test_every_metric_of_the_alerts_exists() -> None:
    for rule in rules():
        assert named(rule["expr"]) <= metrics() | OF_PROMETHEUS, rule["alert"]


def test_every_panel_is_explained_has_a_place_of_its_own_and_asks_the_chosen_prometheus() -> None:
    taken: set[tuple[int, int]] = set()
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        area = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not area & taken, panel["title"]
        taken |= area
        for target in panel["targets"]:
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_every_alert_is_tested_and_says_what_is_the_matter() -> None:
    tested = yaml.safe_load((DEPLOY / "monitoring/rules_test.yaml").read_text(encoding="utf-8"))["tests"]
    assert {rule["alert"] for rule in rules()} == {case["name"] for case in tested}
    for rule in rules():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"].endswith(".")


def test_every_setting_that_a_deployment_names_exists() -> None:
    files = [*DEPLOY.rglob("*.yaml"), *PROJECT.glob("compose*.yaml"), PROJECT / "Dockerfile"]
    found = set().union(*(re.findall(rf"\b{PREFIX}([A-Z_]+)", path.read_text(encoding="utf-8")) for path in files))
    assert {"HOST", "DATABASE_URL", "WORKER_METRICS_PORT"} <= found
    assert found <= {name.upper() for name in Settings.model_fields}


def test_the_secrets_of_compose_are_made_once_and_are_all_that_it_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = runpy.run_path(str(DEPLOY / "compose/make_secrets.py"))
    monkeypatch.setitem(script["main"].__globals__, "FOLDER", tmp_path / "secrets")
    script["main"]()
    made = {path: path.read_bytes() for path in (tmp_path / "secrets").rglob("*") if path.is_file()}
    script["main"]()
    assert made == {path: path.read_bytes() for path in (tmp_path / "secrets").rglob("*") if path.is_file()}
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    asked = yaml.safe_load((PROJECT / "compose.yaml").read_text(encoding="utf-8"))["secrets"]
    assert {Path(secret["file"]).name for secret in asked.values()} <= {path.name for path in made}


def test_the_keys_and_the_certificate_of_compose_are_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = runpy.run_path(str(DEPLOY / "compose/make_secrets.py"))
    folder = tmp_path / "secrets"
    monkeypatch.setitem(script["main"].__globals__, "FOLDER", folder)
    script["main"]()
    keys = KeyStore(folder / "keys/keys.json")
    for owner, scope in (("admin", "admin"), ("prometheus", "metrics")):
        key = keys.find((folder / f"{owner}_key").read_text())
        assert key is not None
        assert key.scopes == {scope}
    certificate = x509.load_pem_x509_certificate((folder / "tls/localhost.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "api", "worker"]
    own = folder / "tls/proxy.pem"
    own.write_text("a certificate of the owner's")
    (folder / "tls/localhost.pem").unlink()
    script["main"]()
    assert own.read_text() == "a certificate of the owner's"

import subprocess
import sys
from pathlib import Path

import pytest

from mlapi.monitoring import DIRECTORY
from mlapi.monitoring.drift import Drift
from mlapi.monitoring.metrics import Metrics


def test_requests_are_counted_by_method_route_and_status() -> None:
    metrics = Metrics()
    metrics.request("POST", "/predict", 200, 0.003)
    metrics.request("POST", "/predict", 200, 0.004)
    metrics.request("BREW", "/predict", 405, 0.001)
    text = metrics.text().decode()
    assert 'http_requests_total{method="POST",route="/predict",status="200"} 2.0' in text
    assert 'http_requests_total{method="other",route="/predict",status="405"} 1.0' in text
    assert 'http_request_duration_seconds_bucket{le="0.0025",route="/predict"} 1.0' in text
    assert 'http_request_duration_seconds_count{route="/predict"} 3.0' in text


def test_methods_that_strangers_make_up_add_no_series() -> None:
    """Checklist 42."""
    metrics = Metrics()
    metrics.request("M0", "unknown", 405, 0)
    before = metrics.text().count(b"\n")
    for number in range(1, 1000):
        metrics.request(f"M{number}", "unknown", 405, 0)
    assert metrics.text().count(b"\n") == before


def test_memory_and_processor_time_of_the_process_are_shown() -> None:
    lines = dict(line.split(" ") for line in Metrics().text().decode().splitlines() if not line.startswith("#"))
    assert float(lines["serving_process_resident_bytes"]) > 10**7
    assert float(lines["serving_process_cpu_seconds"]) > 0


def test_drift_is_asked_for_at_each_scrape() -> None:
    metrics = Metrics(lambda: [Drift("width", 2_000, 0.5, 0.1, (1.0,), (1.0,))])
    text = metrics.text().decode()
    assert 'drift_psi{feature="width"} 0.5' in text
    assert 'drift_psi_limit{feature="width"} 0.1' in text
    assert 'drift_rows{feature="width"} 2000.0' in text


def test_several_processes_are_scraped_as_one(tmp_path: Path) -> None:
    program = (
        "from mlapi.monitoring.metrics import Metrics\n"
        "metrics = Metrics()\n"
        "metrics.request('GET', '/models', 200, 0.1)\n"
        "print(metrics.text().decode())\n"
    )
    command = [sys.executable, "-c", program]
    environment = {DIRECTORY: str(tmp_path), "PATH": ""}
    texts = [
        subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout for _ in range(2)
    ]
    series = 'http_requests_total{method="GET",route="/models",status="200"}'
    assert f"{series} 1.0" in texts[0]
    assert f"{series} 2.0" in texts[1]
    assert texts[1].count("serving_process_resident_bytes{") == 1, "the first process has ended"


def test_without_the_drift_the_other_metrics_are_told(caplog: pytest.LogCaptureFixture) -> None:
    def away() -> list[Drift]:
        raise OSError("nobody foresaw this")

    metrics = Metrics(away)
    for _ in range(2):
        assert "serving_process_resident_bytes " in metrics.text().decode()
    assert caplog.text.count("the drift cannot be told") == 1


@pytest.mark.parametrize("content", [b"", b"x", b"\x64" + bytes(7) + b"\xff" * 99])
def test_a_damaged_file_of_a_process_hides_no_other(tmp_path: Path, content: bytes) -> None:
    program = (
        "from mlapi.monitoring.metrics import Metrics\n"
        "metrics = Metrics()\n"
        "metrics.request('GET', '/models', 200, 0.1)\n"
        "for _ in range(2): text = metrics.text().decode()\n"
        "print(text)\n"
    )
    (tmp_path / "counter_1.db").write_bytes(content)
    (tmp_path / "x.db").write_bytes(content)
    command = [sys.executable, "-c", program]
    environment = {DIRECTORY: str(tmp_path), "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert 'http_requests_total{method="GET",route="/models",status="200"} 1.0' in done.stdout
    assert done.stderr.count("counter_1.db holds no metrics") == 1

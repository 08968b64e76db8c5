"""What a serving process counts and measures, for Prometheus.

Every series has labels from a small, fixed set: whatever strangers send, the number of series does not grow.
"""

import logging
import os
import resource
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from . import DIRECTORY
from .drift import Drift

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of what `Metrics.text` returns."""
METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})
"""HTTP methods that are counted by name; any other counts as `other`."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper edges of the bins that durations are counted in."""

log = logging.getLogger(__name__)


class Family(NamedTuple):
    """A metric, whatever its labels' values."""

    name: str
    """Its name, without the ending that Prometheus gives counters."""
    kind: str
    """What it is: counter, gauge or histogram."""
    labels: tuple[str, ...]
    """Names of its labels."""
    documentation: str
    """What it means."""


class Metrics:
    """The metrics of one application."""

    def __init__(self, drift: Callable[[], Iterable[Drift]] = tuple) -> None:
        """Count from zero; `drift` is asked at each scrape."""
        shared = DIRECTORY in os.environ
        registry = CollectorRegistry()
        self.requests = Counter("http_requests", "Requests answered.", ["method", "route", "status"], registry=registry)
        self.seconds = Histogram(
            "http_request_duration_seconds",
            "Time from a request's first byte to its answer's last.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.rows = Counter("predicted_rows", "Rows predicted.", ["version"], registry=registry)
        self.overflows = Counter(
            "prediction_overflows", "Requests for which the model computed no finite number.", registry=registry
        )
        self.cache = Counter(
            "cache_requests",
            "Requests that were looked up in the cache; a fault is answered by the model.",
            ["result"],
            registry=registry,
        )
        self.shadow = Counter("shadow_rows", "Rows that a shadow was compared on.", ["version"], registry=registry)
        self.disagreements = Counter(
            "shadow_disagreements",
            "Rows for which it names another class, or a value outside the interval.",
            ["version"],
            registry=registry,
        )
        self.connections = Counter(
            "connections_ended",
            "Connections that were ended because a head, a body or an answer took too long, or there were too many.",
            ["reason"],
            registry=registry,
        )
        self.certificates = Counter(
            "certificates_loaded",
            "New certificates that were put in place, or refused because they cannot be used.",
            ["result"],
            registry=registry,
        )
        self.uncounted = Counter(
            "quota_faults",
            "How often Redis did not answer, so that the process counted its callers' requests by itself for a while.",
            registry=registry,
        )
        self.unlogged = Counter(
            "access_log_lines_lost",
            "Lines of the access log that were lost, because nobody read them or the disk was full.",
            registry=registry,
        )
        self.version = Gauge(
            "serving_version",
            "Number of the version that each serving process serves; 0 if none.",
            registry=registry,
            multiprocess_mode="liveall",
        )
        self.memory = Gauge(
            "serving_process_resident_bytes",
            "Memory of each serving process.",
            registry=registry,
            multiprocess_mode="liveall",
        )
        self.cpu = Gauge(
            "serving_process_cpu_seconds",
            "Processor time of each serving process since it started.",
            registry=registry,
            multiprocess_mode="liveall",
        )
        # Counts that are there from the start show the first fault as a change, which an alert can see.
        for counter, results in ((self.cache, ("hit", "miss", "fault")), (self.certificates, ("replaced", "refused"))):
            for result in results:
                counter.labels(result)
        # Looking a series up takes longer than counting in it, and there are few.
        self._counted = cache(self.requests.labels)
        self._timed = cache(self.seconds.labels)
        self._rows = cache(self.rows.labels)
        self._registry = registry
        if shared:
            self._registry = CollectorRegistry()
            self._registry.register(_SharedCollector())
        self._registry.register(_DriftCollector(drift))

    def families(self) -> list[Family]:
        """List all metrics."""
        traffic = [self.requests, self.seconds, self.rows, self.overflows, self.cache, self.shadow, self.disagreements]
        ends = [self.connections, self.certificates, self.uncounted, self.unlogged]
        own = [*traffic, *ends, self.version, self.memory, self.cpu]
        drift = _DriftCollector(tuple).collect()
        return [
            # The library tells this of a metric that has no values yet nowhere else.
            *(Family(one._name, str(one._type), one._labelnames, one._documentation) for one in own),  # noqa: SLF001
            *(Family(one.name, one.type, ("feature",), one.documentation) for one in drift),
        ]

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered; `route` is the path's pattern, never the path itself."""
        self._counted(method if method in METHODS else "other", route, status).inc()
        self._timed(route).observe(seconds)

    def predicted(self, version: str, rows: int) -> None:
        """Count rows that a version predicted."""
        self._rows(version).inc(rows)

    def compared(self, version: str, rows: int, disagreements: int) -> None:
        """Count rows that a shadow was compared on, and those that it would have answered otherwise."""
        self.shadow.labels(version).inc(rows)
        self.disagreements.labels(version).inc(disagreements)

    def process(self, version: str | None) -> None:
        """Note how much memory and processor time this process has used, and what it serves."""
        self.version.set(int(version or 0))
        used = resource.getrusage(resource.RUSAGE_SELF)
        self.cpu.set(used.ru_utime + used.ru_stime)
        self.memory.set(resident_bytes())

    def text(self, version: str | None = None) -> bytes:
        """Return all metrics of all serving processes as Prometheus reads them; `version` is what this one serves."""
        self.process(version)
        _forget_the_dead()
        return generate_latest(self._registry)


def resident_bytes() -> int:
    """Return how much memory this process has; where the system does not tell, the most that it ever had."""
    statm = Path("/proc/self/statm")
    pages = int(statm.read_text(encoding="ascii").split()[1]) if statm.exists() else 0
    return pages * resource.getpagesize() or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _forget_the_dead() -> None:
    """Remove what processes that are gone said of themselves; what they counted stays."""
    directory = Path(os.environ.get(DIRECTORY, "/nowhere"))
    for path in directory.glob("gauge_live*_*.db"):
        process = path.stem.rpartition("_")[2]
        if not Path("/proc", process).exists():
            path.unlink(missing_ok=True)


class _SharedCollector(Collector):
    """Adds up what all serving processes count, each in files of its own."""

    def __init__(self) -> None:
        self._skipped: set[Path] = set()

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of all processes, without files that are damaged: one must not hide all the others."""
        files = list(Path(os.environ[DIRECTORY]).glob("*.db"))
        try:
            metrics = _merged(files)
        except Exception:  # noqa: BLE001 - whatever the library makes of damage, it is found out below
            metrics = _merged([path for path in files if self._is_whole(path)])
        yield from metrics

    def _is_whole(self, path: Path) -> bool:
        """Tell whether the library can read a file, and say once if it cannot."""
        try:
            _merged([path])
        except Exception:  # noqa: BLE001 - likewise
            if path not in self._skipped:
                log.warning("%s holds no metrics that can be read: it is left out", path)
            self._skipped.add(path)
            return False
        return True


def _merged(files: Iterable[Path]) -> Iterable[Metric]:
    metrics: Iterable[Metric] = multiprocess.MultiProcessCollector.merge(map(str, files))  # type: ignore[no-untyped-call]
    return metrics


class _DriftCollector(Collector):
    """Reads the drift when it is asked."""

    def __init__(self, drift: Callable[[], Iterable[Drift]]) -> None:
        self._drift = drift
        self._complained = False

    def collect(self) -> Iterator[Metric]:
        """Return the drift of each feature."""
        index = GaugeMetricFamily("drift_psi", "Population stability index against the training.", labels=["feature"])
        limit = GaugeMetricFamily("drift_psi_limit", "What the index stays below without drift.", labels=["feature"])
        rows = GaugeMetricFamily("drift_rows", "Rows that the index was computed from.", labels=["feature"])
        for one in self._asked():
            index.add_metric([one.name], one.psi)
            limit.add_metric([one.name], one.limit)
            rows.add_metric([one.name], one.counted)
        yield from (index, limit, rows)

    def _asked(self) -> Iterable[Drift]:
        try:
            return self._drift()
        except Exception:  # whatever keeps the drift from being known, the other metrics are told
            if not self._complained:  # once: scrapes come every few seconds
                log.exception("the drift cannot be told")
            self._complained = True
            return ()

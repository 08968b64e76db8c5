"""What a worker counts and measures, for Prometheus: the jobs, and itself."""

import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .metrics import Family, resident_bytes

SECONDS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
"""Upper edges of the bins that the durations of jobs are counted in."""
Waiting = Mapping[tuple[str, str], int]
"""How many jobs are not done, by their kind and state."""


class JobMetrics:
    """The metrics of one worker."""

    def __init__(self, waiting: Callable[[], Waiting] = dict, kinds: Iterable[str] = ()) -> None:
        """Count jobs of these kinds from zero; `waiting` is asked at each scrape, and may fail.

        A count that is there from the start shows the first failure as a change, which an alert can see.
        """
        self.registry = registry = CollectorRegistry()
        self.finished = Counter(
            "jobs_finished", "Jobs that the worker brought to an end.", ["kind", "state"], registry=registry
        )
        self.seconds = Histogram(
            "job_duration_seconds",
            "Time that the worker took for a job.",
            ["kind"],
            buckets=SECONDS,
            registry=registry,
        )
        self.memory = Gauge("worker_process_resident_bytes", "Memory of the worker.", registry=registry)
        self.cpu = Gauge(
            "worker_process_cpu_seconds",
            "Processor time of the worker and of its ended trainings since it started.",
            registry=registry,
        )
        registry.register(_Waiting(waiting))
        for kind in kinds:
            for state in ("succeeded", "failed"):
                self.finished.labels(kind, state)

    def families(self) -> list[Family]:
        """List all metrics."""
        own = (self.finished, self.seconds, self.memory, self.cpu)
        return [
            *(Family(one._name, str(one._type), one._labelnames, one._documentation) for one in own),  # noqa: SLF001
            Family("jobs_waiting", "gauge", ("kind", "state"), WAITING),
        ]

    @contextmanager
    def job(self, kind: str) -> Iterator[None]:
        """Measure and count a job that runs in this block. What is no `Exception` does not end it: it is resumed."""
        started = time.monotonic()
        try:
            yield
        except Exception:
            self._ended(kind, "failed", started)
            raise
        self._ended(kind, "succeeded", started)

    def _ended(self, kind: str, state: str, started: float) -> None:
        self.finished.labels(kind, state).inc()
        self.seconds.labels(kind).observe(time.monotonic() - started)

    def text(self) -> bytes:
        """Return all metrics as Prometheus reads them."""
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        self.cpu.set(sum(one.ru_utime + one.ru_stime for one in used))
        self.memory.set(resident_bytes())
        return generate_latest(self.registry)


WAITING = "Jobs that are not done, queued or running, as the database knows them: every worker tells the same."
"""What `jobs_waiting` means."""


class _Waiting(Collector):
    """Reads the jobs when it is asked."""

    def __init__(self, waiting: Callable[[], Waiting]) -> None:
        self._waiting = waiting

    def collect(self) -> Iterator[Metric]:
        """Return how many jobs are not done; nothing if the database does not tell."""
        family = GaugeMetricFamily("jobs_waiting", WAITING, labels=["kind", "state"])
        try:
            counts = self._waiting()
        except Exception:  # noqa: BLE001 - whatever keeps the database from telling, the other metrics are told
            return
        for labels, count in sorted(counts.items()):
            family.add_metric(labels, count)
        yield family

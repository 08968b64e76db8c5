"""The version that answers now. It follows the registry's pointer and swaps versions without a pause."""

import asyncio
import logging
import random
import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from ..errors import IncompatibleModelVersion, InvalidModelVersion, ModelVersionNotFound
from ..ml.base import Answer, Interval, SupervisedModel
from ..ml.manifest import FileRecord, Manifest
from ..ml.rowwise import is_rowwise
from ..monitoring.drift import Drift, Tallies, Watch
from .pace import SMALL, largest
from .registry import Registry, Traffic
from .runtime import Computes, check_runtime, open_model

FLUSH_SECONDS = 10.0
"""Time between two writings of what was counted, in seconds."""
RETRY_SECONDS = 10.0
"""Time after which a champion that could not be loaded is tried again, in seconds: to read it may be much work."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """A version that is loaded, checked and warm. Requests keep the one they began with."""

    model: type[SupervisedModel]
    """The class of the model that it is a version of."""
    version: str
    """Its number."""
    runtime: Computes
    """What computes its output."""
    interval: Interval | None = None
    """How far a predicted value may be off."""
    watch: Watch | None = None
    """Counts what it predicts, to tell drift."""
    rowwise: bool = False
    """Whether it is known to compute each row by itself, so that rows of several callers may be computed together."""
    small: int = SMALL
    """Bytes of the largest request that is computed in the event loop; a larger one is computed in a thread."""
    digest: str = ""
    """SHA-256 of its file."""

    @cached_property
    def identity(self) -> str:
        """Its number and its file's digest: once a version is deleted, another may get its number."""
        return f"{self.version}-{self.digest}"

    def answer(self, X: NDArray[Any]) -> Answer:
        """Predict each row of `X`, as `Features.matrix` returns it; shape (rows, features)."""
        return self.model.answer(self.runtime.compute(X), self.interval)

    def seen(self, X: NDArray[Any], answer: Answer) -> None:
        """Note what was answered, to tell drift."""
        if self.watch is not None:
            self.watch.see(X, answer.prediction)


def load(model: type[SupervisedModel], registry: Registry, version: str, max_bytes: int) -> Served:
    """Load a version of a model: read it once, check its digest, open it from those bytes and predict once.

    Raises:
        ModelVersionNotFound: there is no such version.
        InvalidModelVersion: it is not the one that was published, or cannot predict.
        IncompatibleModelVersion: it was made for other features, labels or libraries.
        PickleNotAllowed: loading it would run code, which this registry does not allow.

    """
    manifest = check_fit(model, registry, version)
    check_runtime(manifest, version, allow_pickle=registry.allow_pickle, prefix=registry.prefix)
    file_name = f"model.{manifest.runtime}"
    content = registry.read(version, file_name, max_bytes)
    digest = FileRecord.of(content).sha256
    try:
        runtime = open_model(model, manifest.runtime, content)
        served = Served(model, version, runtime, manifest.interval, digest=digest)
        served.answer(model.Features.matrix([model.Features.example().values()]))
    except ModuleNotFoundError as error:
        needed = f"{file_name} of version {version} needs {error.name}, which is not installed here."
        raise InvalidModelVersion(needed) from error
    except Exception as error:  # whatever a model does to its runtime, the version that serves must go on
        raise InvalidModelVersion(f"{file_name} of version {version} cannot predict.") from error
    return served


def check_fit(model: type[SupervisedModel], registry: Registry, version: str) -> Manifest:
    """Make sure that a version was trained for what the model predicts from what; return its record.

    Raises:
        ModelVersionNotFound: there is no such version.
        InvalidModelVersion: its record cannot be read.
        IncompatibleModelVersion: it was trained for other features or labels.

    """
    manifest = registry.manifest(version)
    features = [(column.name, list(column.choices)) for column in model.Features.columns()]
    if manifest.predicts() != (model.kind, features, list(model.labels)):
        raise IncompatibleModelVersion(f"Version {version} was trained for other features or labels. Train a new one.")
    return manifest


def canary(model: type[SupervisedModel], registry: Registry, version: str, share: float, max_bytes: int) -> Traffic:
    """Give a version a share of the requests, 0 to 1, once it is known to be able to answer them.

    Raises:
        ModelVersionNotFound: there is no such version, or none serves yet.
        InvalidModelVersion: it is not the one that was published, or cannot be loaded.
        IncompatibleModelVersion: it was trained for other features or labels.

    """
    load(model, registry, version, max_bytes)
    return registry.direct(canary=version, share=share)


def shadow(model: type[SupervisedModel], registry: Registry, version: str, max_bytes: int) -> Traffic:
    """Let a version be compared with those that answer, once it is known to be able to; raises as `canary` does."""
    load(model, registry, version, max_bytes)
    return registry.direct(shadow=version)


def promote(model: type[SupervisedModel], registry: Registry, version: str, max_bytes: int) -> None:
    """Make a version the one that serves, once it is known to be able to.

    Raises:
        ModelVersionNotFound: there is no such version.
        InvalidModelVersion: it is not the one that was published, or cannot be loaded.
        IncompatibleModelVersion: it was made for other features, labels or libraries.
        PickleNotAllowed: loading it would run code, which this registry does not allow.

    """
    load(model, registry, version, max_bytes)
    registry.promote(version)


class Champion:
    """Holds the version that serves, and those beside it that are tried."""

    def __init__(
        self, model: type[SupervisedModel], registry: Registry, max_bytes: int, tallies: Tallies | None = None
    ) -> None:
        """Serve versions of a model from a registry; `tallies` are where to count what is predicted, if anywhere."""
        self.served: Served | None = None
        """The version that serves."""
        self.canary: Served | None = None
        """A version that answers a share of the requests."""
        self.shadow: Served | None = None
        """A version that is asked too, and answers nobody."""
        self._share = 0.0
        self._model = model
        self._registry = registry
        self._max_bytes = max_bytes
        self._tallies = tallies
        self._watches: dict[str, Watch] = {}
        self._seen: tuple[int, int] | None = None
        self._tried: tuple[int, int] | None = None
        self._resumes_at = 0.0
        self._complaint = ""

    def choose(self) -> Served | None:
        """Return the version that answers the next request."""
        if self.canary is not None and random.random() < self._share:  # noqa: S311 - nobody gains by guessing it
            return self.canary
        return self.served

    def refresh(self) -> None:
        """Load the versions that get requests, unless they are loaded.

        If that fails, the last good champion stays, the log tells why, and the next call tries again: faults may pass.
        """
        seen = self._look()
        if seen is None or seen == self._seen:
            return
        self._tried = seen
        try:
            traffic = self._registry.traffic()
            if traffic is not None:
                self.served = self._loaded(traffic.version, self.served)
                self.canary = self._loaded(traffic.canary, self.canary)
                self.shadow = self._loaded(traffic.shadow, self.shadow)
                self._share = traffic.share
        except (IncompatibleModelVersion, InvalidModelVersion, ModelVersionNotFound) as error:
            self._complain(error.detail)
        else:
            self._seen, self._complaint = seen, ""
        finally:
            self._resumes_at = time.monotonic() + RETRY_SECONDS

    def _is_due(self) -> bool:
        """Tell whether there is something to load: a new pointer, or after a while one that could not be followed."""
        seen = self._look()
        return seen not in (None, self._seen) and (seen != self._tried or time.monotonic() >= self._resumes_at)

    def _loaded(self, version: str | None, before: Served | None) -> Served | None:
        """Return a version, loaded: the one that had this place `before`, if it is the same."""
        if version is None:
            return None
        if before is not None and before.version == version and self._is_still(before):
            return before
        loaded = load(self._model, self._registry, version, self._max_bytes)
        compute, features = loaded.runtime.compute, self._model.Features
        small = largest(compute, features)
        # To try it on many rows takes a slow version minutes, and what is computed in threads is computed alone anyway.
        loaded = replace(loaded, rowwise=small > 0 and is_rowwise(compute, features), small=small)
        log.info("version %s is loaded", version)
        if small < SMALL:
            log.info("it takes its time: requests of more than %d bytes are computed in threads", small)
        return self._watched(loaded)

    def _is_still(self, loaded: Served) -> bool:
        """Tell whether the version of this number is the one that is loaded."""
        try:
            manifest = self._registry.manifest(loaded.version)
        except (InvalidModelVersion, ModelVersionNotFound):
            return True  # what cannot be read cannot take its place either
        record = manifest.files.get(f"model.{manifest.runtime}")
        return record is not None and record.sha256 == loaded.digest

    def _watched(self, served: Served) -> Served:
        """Let a version count what it predicts."""
        if self._tallies is None:
            return served
        watch = self._watches.get(served.identity)
        if watch is None:
            reference = self._registry.manifest(served.version).reference
            watch = self._tallies.watch(self._model.Features, served.version, reference)
            self._watches[served.identity] = watch
        return replace(served, watch=watch)

    def drift(self) -> list[Drift]:
        """Compare what the version that serves predicted lately with its training; nothing if none serves."""
        served = self.served
        if served is None or served.watch is None or self._tallies is None:
            return []
        # By what was loaded with the version: its record may be gone by now.
        return self._tallies.drift(served.version, served.watch.reference)

    def flush(self) -> None:
        """Write down what was counted; a fault is logged, and the counts are written the next time."""
        watches, serving = self._watches, (self.served, self.canary, self.shadow)
        current = [version.watch for version in serving if version is not None]
        # A version that was replaced may still answer requests that began with it.
        self._watches = {identity: watch for identity, watch in watches.items() if watch in current or watch.waits}
        for watch in watches.values():
            try:
                watch.flush()
            except OSError as error:
                log.warning("the counts of what was predicted cannot be written: %s", error.strerror)

    def _complain(self, reason: str) -> None:
        """Log why the champion was not loaded, once for each reason."""
        if reason != self._complaint:
            still = f"version {self.served.version} goes on serving" if self.served else "no version serves"
            log.error("the champion was not loaded, %s: %s", still, reason)
        self._complaint = reason

    def _look(self) -> tuple[int, int] | None:
        """Return what changes whenever the pointer is replaced."""
        try:
            status = self._registry.pointer.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    async def follow(self, seconds: float) -> None:
        """Refresh for ever, `seconds` apart, off the event loop when there is something to load or to write."""
        flushed = time.monotonic()
        while True:
            await asyncio.sleep(seconds)
            try:
                if time.monotonic() > flushed + FLUSH_SECONDS:
                    flushed = time.monotonic()
                    await asyncio.to_thread(self.flush)
                if self._is_due():
                    await asyncio.to_thread(self.refresh)
            except Exception:  # the loop is a boundary: it must outlive any single fault
                log.exception("looking for a new champion failed")

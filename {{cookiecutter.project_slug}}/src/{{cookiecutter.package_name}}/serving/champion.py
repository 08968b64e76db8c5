"""The version that answers now. It follows the registry's pointer and swaps versions without a pause."""

import asyncio
import logging
from dataclasses import dataclass

from ..errors import IncompatibleModelVersion, InvalidModelVersion, ModelVersionNotFound
from ..ml import Model
from ..ml.onnx import OnnxClassifier
from .registry import Registry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """A version that is loaded, checked and warm. Requests keep the one they began with."""

    version: str
    """Its number."""
    model: OnnxClassifier
    """What computes its predictions."""


def load(registry: Registry, version: str, max_bytes: int) -> Served:
    """Load a version: read it once, check its digest, open it from those bytes and predict once.

    Raises:
        ModelVersionNotFound: there is no such version.
        InvalidModelVersion: it is not the one that was published, or cannot predict.
        IncompatibleModelVersion: it was trained for other features or labels.

    """
    check_fit(registry, version)
    content = registry.read(version, "model.onnx", max_bytes)
    try:
        model = OnnxClassifier(content)
        answer = model.predict(Model.Features.matrix([Model.Features.example().values()]))
    except Exception as error:  # whatever a model does to its runtime, the version that serves must go on
        raise InvalidModelVersion(f"model.onnx of version {version} cannot predict.") from error
    if answer.probability.shape != (1, len(Model.labels)):
        raise InvalidModelVersion(f"model.onnx of version {version} does not tell {len(Model.labels)} classes apart.")
    return Served(version, model)


def check_fit(registry: Registry, version: str) -> None:
    """Make sure that a version was trained for the features, in this order, and the labels that this service has.

    Raises:
        ModelVersionNotFound: there is no such version.
        InvalidModelVersion: its record cannot be read.
        IncompatibleModelVersion: it was trained for others.

    """
    if registry.manifest(version).predicts() != (list(Model.Features.names()), list(Model.labels)):
        raise IncompatibleModelVersion(f"Version {version} was trained for other features or labels. Train a new one.")


def promote(registry: Registry, version: str, max_bytes: int) -> None:
    """Make a version the one that serves, once it is known to be able to.

    Raises:
        ModelVersionNotFound: there is no such version.
        InvalidModelVersion: it is not the one that was published, or cannot be loaded.
        IncompatibleModelVersion: it was trained for other features or labels.

    """
    load(registry, version, max_bytes)
    registry.promote(version)


class Champion:
    """Holds the version that serves."""

    def __init__(self, registry: Registry, max_bytes: int) -> None:
        self.served: Served | None = None
        self._registry = registry
        self._max_bytes = max_bytes
        self._seen: tuple[int, int] | None = None
        self._complaint = ""

    def refresh(self) -> None:
        """Load the champion if it is not the version that serves.

        If that fails, the last good version stays, the log tells why, and the next call tries again: faults may pass.
        """
        seen = self._look()
        if seen is None or seen == self._seen:
            return
        try:
            version = self._registry.champion()
            if version is not None and (self.served is None or self.served.version != version):
                self.served = load(self._registry, version, self._max_bytes)
                log.info("version %s serves", version)
        except (IncompatibleModelVersion, InvalidModelVersion, ModelVersionNotFound) as error:
            self._complain(error.detail)
        else:
            self._seen, self._complaint = seen, ""

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
        """Refresh for ever, `seconds` apart, off the event loop when there is something to load."""
        while True:
            await asyncio.sleep(seconds)
            if self._look() != self._seen:
                try:
                    await asyncio.to_thread(self.refresh)
                except Exception:  # the loop is a boundary: it must outlive any single fault
                    log.exception("looking for a new champion failed")

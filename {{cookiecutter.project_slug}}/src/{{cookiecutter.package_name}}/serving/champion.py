"""The version that answers now. It follows the registry's pointer and swaps versions without a pause."""

import asyncio
import logging
from dataclasses import dataclass

from ..errors import InvalidModelVersion, ModelVersionNotFound
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
        InvalidModelVersion: it is not the one that was published, or was trained for other features or labels.

    """
    manifest = registry.manifest(version)
    if (manifest.features, manifest.labels) != (Model.Features.model_json_schema(), list(Model.labels)):
        raise InvalidModelVersion(f"Version {version} was trained for other features or labels. Train a new one.")
    try:
        model = OnnxClassifier(registry.read(version, "model.onnx", max_bytes))
    except ValueError as error:
        raise InvalidModelVersion(f"model.onnx of version {version} {error}.") from error
    model.predict(Model.Features.matrix([Model.Features.example().values()]))
    return Served(version, model)


class Champion:
    """Holds the version that serves."""

    def __init__(self, registry: Registry, max_bytes: int) -> None:
        self.served: Served | None = None
        self._registry = registry
        self._max_bytes = max_bytes
        self._seen: tuple[int, int] | None = None

    def refresh(self) -> None:
        """Load the champion if the pointer has changed; if that fails, the last version stays and the log tells why."""
        seen = self._look()
        if seen is None or seen == self._seen:
            return
        self._seen = seen
        try:
            version = self._registry.champion()
            if version is not None and (self.served is None or self.served.version != version):
                self.served = load(self._registry, version, self._max_bytes)
                log.info("version %s serves", version)
        except (InvalidModelVersion, ModelVersionNotFound) as error:
            log.error("the champion was not loaded, the last good version stays: %s", error.detail)  # noqa: TRY400

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

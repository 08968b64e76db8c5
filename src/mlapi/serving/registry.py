"""The model registry: a directory of immutable, numbered versions and a pointer to the one that serves.

On the disk::

    <root>/<name>/1/{model.onnx, model.joblib, manifest.json}   # no model.onnx if model.joblib serves
    <root>/<name>/champion.json

A version is written under another name and renamed when it is whole, so whatever has a number is complete. The layout
is the one Triton and KServe read.
"""

import errno
import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ..durable import locked, sync, write_durably
from ..errors import InvalidModelVersion, ModelVersionNotFound, PickleNotAllowed
from ..ml.manifest import FILE_NAME, FileRecord, Manifest, now
from ..settings import Settings
from .runtime import check_runtime

if TYPE_CHECKING:
    from ..ml.base import SupervisedModel

Policy = Literal["always", "better", "never"]
NUMBER = "^[1-9][0-9]{0,8}$"
"""How the number of a version is written."""


class Decision(NamedTuple):
    """Whether a new version was promoted, and why."""

    promoted: bool
    """Whether the version serves now."""
    reason: str
    """Why, in one clause for people."""


class Traffic(BaseModel):
    """Which versions get requests: the content of `champion.json`."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    version: Annotated[str, StringConstraints(pattern=NUMBER)]
    """The champion, which answers all requests that the canary does not."""
    promoted_at: datetime
    """When it was promoted, in UTC."""
    canary: Annotated[str, StringConstraints(pattern=NUMBER)] | None = None
    """A version that answers a share of the requests."""
    share: Annotated[float, Field(ge=0, le=1)] = 0
    """That share, 0 to 1."""
    shadow: Annotated[str, StringConstraints(pattern=NUMBER)] | None = None
    """A version that answers none, and whose answers are compared with those that are sent."""


class Registry:
    """The versions of one model. Processes may share the directory: every change is one atomic rename."""

    def __init__(self, root: Path, name: str, *, allow_pickle: bool = False, prefix: str = "") -> None:
        """Take the versions of the model `name`; `allow_pickle` and `prefix` as in the settings."""
        self.directory = root / name
        self.allow_pickle = allow_pickle
        self.prefix = prefix
        self.pointer = self.directory / "champion.json"

    @classmethod
    def of(cls, model: "type[SupervisedModel]", settings: Settings) -> Self:
        """Return the versions of a model where the settings say that they are."""
        return cls(settings.models_dir, model.name, allow_pickle=settings.allow_pickle, prefix=settings.prefix)

    def candidate(self, run: str) -> Path:
        """Return where the training called `run` writes before it is published."""
        return self.directory / ".candidates" / run

    def versions(self) -> list[str]:
        """Return the numbers of all versions, newest first."""
        try:
            numbered = [path.name for path in self.directory.iterdir() if _is_number(path.name) and path.is_dir()]
        except FileNotFoundError:
            return []
        return sorted(numbered, key=int, reverse=True)

    def manifest(self, version: str) -> Manifest:
        """Return the record of a version.

        Raises:
            ModelVersionNotFound: there is no such version.
            InvalidModelVersion: its record cannot be read.

        """
        if not _is_number(version) or not (self.directory / version).is_dir():
            raise ModelVersionNotFound("There is no such version of this model.")
        try:
            return Manifest.model_validate_json((self.directory / version / FILE_NAME).read_bytes())
        except (OSError, ValidationError) as error:
            raise InvalidModelVersion(f"The manifest of version {version} cannot be read.") from error

    def read(self, version: str, file_name: str, max_bytes: int) -> bytes:
        """Return a file of a version, once its size and digest are found right.

        Raises:
            InvalidModelVersion: the file is missing, too large, or not the one that was published.

        """
        record = self.manifest(version).files.get(file_name)
        path = self.directory / version / file_name
        if record is None or record.size > max_bytes:
            raise InvalidModelVersion(f"{file_name} of version {version} is missing or over {max_bytes} bytes.")
        try:
            with path.open("rb") as file:
                content = file.read(record.size + 1)
        except OSError as error:
            raise InvalidModelVersion(f"{file_name} of version {version} cannot be read.") from error
        if FileRecord.of(content) != record:
            raise InvalidModelVersion(f"{file_name} of version {version} is not the file that was published.")
        return content

    def publish(self, candidate: Path) -> str:
        """Give a candidate the next number. Done again for the same run, it returns the number given before.

        Raises:
            InvalidModelVersion: there is neither such a candidate nor a version made from it.

        """
        if published := self._version_of(candidate.name):
            return published
        if not (candidate / FILE_NAME).is_file():
            raise InvalidModelVersion(f"The candidate {candidate.name} is not complete.")
        for path in candidate.iterdir():
            sync(path)
        sync(candidate)
        while True:
            version = str(int(next(iter(self.versions()), "0")) + 1)
            try:
                candidate.rename(self.directory / version)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
            else:
                sync(self.directory)
                return version

    def _version_of(self, run: str) -> str | None:
        """Return the version that a run was published as."""
        for version in self.versions():
            with suppress(InvalidModelVersion):
                if self.manifest(version).run == run:
                    return version
        return None

    def traffic(self) -> Traffic | None:
        """Return which versions get requests, or None before the first promotion.

        Raises:
            InvalidModelVersion: the pointer cannot be read.

        """
        try:
            return Traffic.model_validate_json(self.pointer.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise InvalidModelVersion(f"{self.pointer.name} cannot be read. Promote a version to mend it.") from error

    def champion(self) -> str | None:
        """Return the version that serves, or None before the first promotion.

        Raises:
            InvalidModelVersion: the pointer cannot be read.

        """
        traffic = self.traffic()
        return None if traffic is None else traffic.version

    def promote(self, version: str) -> None:
        """Make a version the one that serves; if it was canary or shadow, it is that no more.

        Raises:
            ModelVersionNotFound: there is no such version.
            InvalidModelVersion: one of its files is not the one that was published.

        """
        self.verify(version)
        with locked(self.directory / ".pointer.lock"):
            others: dict[str, Any] = {}
            with suppress(InvalidModelVersion):
                if (old := self.traffic()) is not None:
                    others |= {"canary": old.canary, "share": old.share} if old.canary != version else {}
                    others |= {"shadow": old.shadow} if old.shadow != version else {}
            self._point(Traffic(version=version, promoted_at=now(), **others))

    def direct(self, **changes: Any) -> Traffic:
        """Change which versions get requests beside the champion: `canary` and `share`, or `shadow`; None for none.

        Raises:
            ModelVersionNotFound: there is no such version, or none serves yet.
            InvalidModelVersion: one of its files is not the one that was published, or the pointer cannot be read.

        """
        for version in filter(None, (changes.get("canary"), changes.get("shadow"))):
            self.verify(version)
        with locked(self.directory / ".pointer.lock"):
            traffic = self.traffic()
            if traffic is None:
                raise ModelVersionNotFound("No version serves yet. Promote one first.")
            changed = Traffic(**traffic.model_dump() | changes)
            self._point(changed)
        return changed

    def drop(self, role: Literal["canary", "shadow"]) -> Traffic:
        """Stop trying a version; raises as `direct` does."""
        return self.direct(canary=None, share=0) if role == "canary" else self.direct(shadow=None)

    def _point(self, traffic: Traffic) -> None:
        write_durably(self.pointer, traffic.model_dump_json().encode())

    def verify(self, version: str) -> None:
        """Check every file of a version against its digest.

        Raises:
            ModelVersionNotFound: there is no such version.
            InvalidModelVersion: a file is missing or differs.

        """
        for file_name, record in self.manifest(version).files.items():
            self.read(version, file_name, record.size)

    def consider(self, version: str, policy: Policy, tolerance: float) -> Decision:
        """Promote a new version if the policy says so; `tolerance` is how much less it may score than the champion.

        Raises:
            ModelVersionNotFound: there is no such version.
            InvalidModelVersion: one of its files is not the one that was published.

        """
        manifest = self.manifest(version)
        try:
            check_runtime(manifest, version, allow_pickle=self.allow_pickle, prefix=self.prefix)
        except PickleNotAllowed as error:
            return Decision(promoted=False, reason=error.detail.removesuffix("."))
        decision = self._judge(manifest, policy, tolerance)
        if decision.promoted:
            self.promote(version)
        return decision

    def _judge(self, new: Manifest, policy: Policy, tolerance: float) -> Decision:
        """Decide whether a new version replaces the champion."""
        if policy == "never":
            return Decision(promoted=False, reason="new versions are promoted by hand only")
        if policy == "always":
            return Decision(promoted=True, reason="every new version is promoted")
        try:
            champion = self.champion()
            old = self.manifest(champion) if champion else None
        except (InvalidModelVersion, ModelVersionNotFound):
            return Decision(promoted=True, reason="the champion cannot be read")
        if old is None:
            return Decision(promoted=True, reason="it is the first version")
        if old.predicts() != new.predicts() or new.score not in old.metrics:
            return Decision(promoted=True, reason=f"the champion, version {champion}, has other features or labels")
        ours, theirs = new.metrics[new.score], old.metrics[new.score]
        better = ours >= theirs - tolerance
        same = old.dataset.fingerprint == new.dataset.fingerprint
        return Decision(
            promoted=better,
            reason=f"{new.score} {ours:.4f} {'holds' if better else 'does not hold'} against "
            f"{theirs:.4f} of the champion, version {champion} (tolerance {tolerance}"
            f"{'' if same else '; the two were evaluated on different data'})",
        )


def _is_number(name: str) -> bool:
    """Tell whether a name is that of a version: a positive decimal number without leading zeros."""
    return re.fullmatch(NUMBER, name) is not None

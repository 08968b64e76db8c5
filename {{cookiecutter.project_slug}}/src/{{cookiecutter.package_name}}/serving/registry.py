"""The model registry: a directory of immutable, numbered versions and a pointer to the one that serves.

On the disk::

    <root>/<name>/1/{model.onnx, model.joblib, manifest.json}
    <root>/<name>/champion.json

A version is written under another name and renamed when it is whole, so whatever has a number is complete. The layout
is the one Triton and KServe read.
"""

import errno
import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, StringConstraints, ValidationError

from ..durable import sync, write_durably
from ..errors import InvalidModelVersion, ModelVersionNotFound
from ..ml.evaluation import SCORE
from ..ml.manifest import FILE_NAME, FileRecord, Manifest, now

Policy = Literal["always", "better", "never"]
NUMBER = "^[1-9][0-9]{0,8}$"
"""How the number of a version is written."""


class Decision(NamedTuple):
    """Whether a new version was promoted, and why."""

    promoted: bool
    """Whether the version serves now."""
    reason: str
    """Why, in one clause for people."""


class Registry:
    """The versions of one model. Processes may share the directory: every change is one atomic rename."""

    def __init__(self, root: Path, name: str) -> None:
        self.directory = root / name
        self.pointer = self.directory / "champion.json"

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

    def champion(self) -> str | None:
        """Return the version that serves, or None before the first promotion.

        Raises:
            InvalidModelVersion: the pointer cannot be read.

        """
        try:
            return str(_Pointer.model_validate_json(self.pointer.read_bytes()).version)
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise InvalidModelVersion(f"{self.pointer.name} cannot be read. Promote a version to mend it.") from error

    def promote(self, version: str) -> None:
        """Make a version the one that serves.

        Raises:
            ModelVersionNotFound: there is no such version.
            InvalidModelVersion: one of its files is not the one that was published.

        """
        self.verify(version)
        write_durably(self.pointer, _Pointer(version=version, promoted_at=now()).model_dump_json().encode())

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
        decision = self._judge(self.manifest(version), policy, tolerance)
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
        if old.predicts() != new.predicts():
            return Decision(promoted=True, reason=f"the champion, version {champion}, has other features or labels")
        better = new.metrics[SCORE] >= old.metrics[SCORE] - tolerance
        same = old.dataset.fingerprint == new.dataset.fingerprint
        return Decision(
            promoted=better,
            reason=f"{SCORE} {new.metrics[SCORE]:.4f} {'holds' if better else 'does not hold'} against "
            f"{old.metrics[SCORE]:.4f} of the champion, version {champion} (tolerance {tolerance}"
            f"{'' if same else '; the two were evaluated on different data'})",
        )


class _Pointer(BaseModel):
    """The content of `champion.json`."""

    version: Annotated[str, StringConstraints(pattern=NUMBER)]
    promoted_at: datetime


def _is_number(name: str) -> bool:
    """Tell whether a name is that of a version: a positive decimal number without leading zeros."""
    return re.fullmatch(NUMBER, name) is not None

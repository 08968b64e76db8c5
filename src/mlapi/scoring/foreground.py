"""Scoring a file here and now, for the command line."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from ..errors import BadInput
from ..ml.base import SupervisedModel
from ..settings import Settings
from ..storage import Storage
from .formats import Format, format_of
from .run import Progress, finish, plan_of, prepare, score_all

Show = Callable[[Progress, int], None]
"""Shows how far the work is, and how many rows there are about."""


class Place(NamedTuple):
    """Where a file is."""

    storage: Storage
    """The storage that holds it."""
    path: str
    """Its path in there."""
    form: Format
    """Its format."""

    def is_taken(self) -> bool:
        """Tell whether there is a file."""
        try:
            self.storage.size(self.path)
        except FileNotFoundError:
            return False
        return True


def place_of(name: str) -> Place:
    """Find a file by its path or URL; raise `BadInput` if its name does not tell its format."""
    form = format_of(name)
    if form is None:
        raise BadInput(f"{name}: the name must end with .csv, .jsonl or .parquet, which tells the format")
    if urlsplit(name).scheme in {"s3", "gs", "az"}:
        root, _, path = name.rpartition("/")
        return Place(Storage(root), path, form)
    local = Path(name).absolute()
    return Place(Storage(local.parent.as_uri()), local.name, form)


def rejects_of(target: str) -> str:
    """Return where the rejected rows are listed."""
    return f"{target}.rejects.csv"


def score_now(
    model: type[SupervisedModel], settings: Settings, source: str, target: str, show: Show
) -> dict[str, object]:
    """Score a file and return what came of it; what was rejected is listed beside the result.

    Raises:
        BadInput: a name does not tell a format.
        ScoringFailed: the file cannot be scored at all.
        ModelNotReady: there is no version yet.

    """
    there, here = place_of(source), place_of(target)
    folder = f".{uuid.uuid4().hex}"
    try:
        prepare(model, settings, here.storage.url, folder, (there.storage.url, there.path, there.form), [here.form])
        plan = plan_of(here.storage.url, folder)
        for progress in score_all(model, plan, settings.cluster_url):
            show(progress, plan.rows)
        show(progress, max(progress.rows + progress.rejected, 1))
        rejects = rejects_of(here.path)
        finish(model, plan, {here.form: (here.storage, here.path)}, (here.storage, rejects), lambda: None)
        if not progress.rejected:
            here.storage.remove_one(rejects)  # those of an older result
    finally:
        here.storage.remove(folder)
    return {
        "version": plan.order.version,
        "rows": progress.rows,
        "rejected": progress.rejected,
        "rejects": rejects_of(target) if progress.rejected else None,
    }

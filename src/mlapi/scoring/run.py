"""Scoring a file from its beginning to its end, in steps that the durable job and the command line share.

What is done is known from the job's folder alone, so any process may take a step again or go on where another ended.
"""

import hashlib
import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cluster import spread
from ..errors import ModelNotReady, ScoringFailed
from ..ml.base import SupervisedModel
from ..serving.champion import load
from ..serving.registry import Registry
from ..settings import Settings
from ..storage import Storage
from .cut import Part, cut
from .formats import Format

if TYPE_CHECKING:
    from .part import Count

PARTS_A_CORE = 4
"""Parts that are scored on each core between two looks at whether to go on."""


Target = tuple[Storage, str]
"""Where a file is to be: the storage, and the path in there."""


class Plan(NamedTuple):
    """What is to be done."""

    order: Any
    """What each part needs: an `Order`."""
    parts: list[Part]
    """The parts, each with its number as its place."""
    rows: int
    """Rows of the file, about."""


class Progress(NamedTuple):
    """How far a job is."""

    done: int
    """Parts that are done; of a job, the first so many."""
    rows: int
    """Rows that were scored."""
    rejected: int
    """Rows that were not."""


def prepare(  # noqa: PLR0913, PLR0917 - all that a job needs to know
    model: type[SupervisedModel],
    settings: Settings,
    files: str,
    folder: str,
    source: tuple[str, str, Format],
    results: Sequence[Format],
) -> None:
    """Cut a file, choose the version that serves, and write down in the job's folder what is to be done.

    Args:
        model: The class of the model.
        settings: Where its versions are.
        files: URL of the storage to work in.
        folder: Folder of the job in there, which is to have all that a part needs, the model as well.
        source: URL of the storage that holds the file, the file's path in there, and its format.
        results: Formats that are wanted.

    Raises:
        ScoringFailed: the file is not there or cannot be scored at all.
        ModelNotReady: there is no version yet.

    """
    from .part import Order

    source_files, path, form = source
    try:
        cuts = cut(model, Storage(source_files), path, form)
    except FileNotFoundError:
        raise ScoringFailed("The file to score is not there.") from None
    registry = Registry.of(model, settings)
    version = registry.champion()
    if version is None:
        raise ModelNotReady("No model version serves yet. Train one first.")
    load(model, registry, version, settings.max_model_bytes)  # which refuses one that cannot predict
    manifest = registry.manifest(version)
    content = registry.read(version, f"model.{manifest.runtime}", settings.max_model_bytes)
    order = Order(
        files=files,
        folder=folder,
        source_files=source_files,
        source=path,
        form=form,
        columns=tuple(cuts.columns),
        version=version,
        runtime=manifest.runtime,
        sha256=hashlib.sha256(content).hexdigest(),
        interval=None if manifest.interval is None else manifest.interval.model_dump(),
        max_rejects=settings.max_rejects,
        results=tuple(dict.fromkeys(results)),
    )
    storage = Storage(files)
    storage.write(f"{folder}/model", content)
    plan = {"order": asdict(order), "parts": cuts.parts, "rows": cuts.rows}
    storage.write(f"{folder}/plan", json.dumps(plan).encode())


def plan_of(files: str, folder: str) -> Plan:
    """Read what is to be done."""
    from .part import Order

    kept = json.loads(Storage(files).read(f"{folder}/plan"))
    order = Order(**kept["order"] | {name: tuple(kept["order"][name]) for name in ("columns", "results")})
    return Plan(order, [Part(*part) for part in kept["parts"]], kept["rows"])


def progress_of(plan: Plan) -> Progress:
    """Tell how far a job is."""
    from .part import done

    counts = done(Storage(plan.order.files), plan.order.folder)
    return _progress(plan, counts, counts.values())


def score_some(model: type[SupervisedModel], plan: Plan, cluster_url: str | None) -> tuple[Progress, Progress]:
    """Score the next few parts that are not done, and tell how far the job was before and is then."""
    from .part import done

    with spread(cluster_url) as at_once:
        counts = done(Storage(plan.order.files), plan.order.folder)  # once: a long job has thousands of parts to list
        left = [number for number in range(len(plan.parts)) if number not in counts][: at_once * PARTS_A_CORE]
        scored = list(_scored(model, plan, left))  # each is noted where it is done
    after = _progress(plan, {*counts, *left}, [*counts.values(), *scored])
    return _progress(plan, counts, counts.values()), after


def _progress(plan: Plan, done: Container[int], counts: "Iterable[Count]") -> Progress:
    first = next((number for number in range(len(plan.parts)) if number not in done), len(plan.parts))
    return Progress(first, *(sum(every) for every in zip((0, 0), *counts, strict=True)))


def score_all(model: type[SupervisedModel], plan: Plan, cluster_url: str | None) -> Iterator[Progress]:
    """Score all parts, and tell before and after each how far the work is. No part waits for others."""
    yield (progress := Progress(0, 0, 0))
    with spread(cluster_url):
        for count in _scored(model, plan, range(len(plan.parts))):
            progress = Progress(progress.done + 1, progress.rows + count.rows, progress.rejected + count.rejected)
            yield progress


def _scored(model: type[SupervisedModel], plan: Plan, numbers: Iterable[int]) -> "Iterator[Count]":
    """Score some parts; yield what came of each as soon as it is done."""
    from joblib import Parallel, delayed

    from .part import score_part

    # As an argument the class would be scattered: kept by one worker of a cluster, and lost with it.
    score = partial(score_part, model)
    yield from Parallel(return_as="generator_unordered")(
        delayed(score)(plan.order, number, plan.parts[number]) for number in numbers
    )


def finish(
    model: type[SupervisedModel],
    plan: Plan,
    targets: Mapping[Format, Target],
    rejects: Target,
    check: Callable[[], None],
) -> None:
    """Put the parts together in each format that is wanted, and list the rejected rows if there are any.

    Raises:
        ScoringFailed: no row at all could be scored.

    """
    from .assemble import assemble, assemble_rejects
    from .part import done, path_of

    storage, folder = Storage(plan.order.files), plan.order.folder
    counts = done(storage, folder)
    parts = [number for number in sorted(counts) if counts[number].rows]
    if not parts:
        raise ScoringFailed(f"No row can be scored. {_first_reject(storage, folder)}")
    columns = [*plan.order.columns, *model.example_answer().columns()]
    for form, target in targets.items():
        paths = [path_of(folder, number, form) for number in parts]
        _write(target, assemble(storage, paths, form, columns, check))
    if any(count.rejected for count in counts.values()):
        _write(rejects, assemble_rejects(storage, folder, plan.order.max_rejects))


def _write(target: Target, pieces: Iterable[bytes]) -> None:
    storage, path = target
    with storage.writer(path) as file:
        for piece in pieces:
            file.write(piece)


def _first_reject(storage: Storage, folder: str) -> str:
    """Say what is wrong with the first row."""
    for name in storage.paths(f"{folder}/rejects"):
        line, _, reason = storage.read(f"{folder}/rejects/{name}").decode().partition("\n")[0].partition(",")
        return f"Line {line}: {reason[1:-1]}."
    return "The file holds no rows."


def tidy(files: str, folder: str) -> None:
    """Remove what is not needed once the result is there."""
    for name in ("parts", "rejects", "done"):
        Storage(files).remove(f"{folder}/{name}")

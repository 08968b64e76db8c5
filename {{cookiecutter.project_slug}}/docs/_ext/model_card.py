"""The model card: what the registry knows about the version that serves, and what its owner has to add."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from typing import Any

import languages
from measures import called, meaning, rounded
from project import ABOUT, PACKAGE, ROOT, Undocumented, library, load
from sphinx.locale import _ as tr
from sphinx.util.i18n import format_date

SECTIONS = {
    "What it does": "what the model predicts, from what, for whom",
    "Intended use": "which decisions it is good for, and who takes them",
    "Out-of-scope use": "what it must not be used for, and why",
    "Where the data come from": "who collected them, when, how, under which licence",
    "Limits": "where it is known to be wrong or unsure",
    "Risks and fairness": "who could be harmed by a wrong answer, and what was done about it",
    "Contact": "whom to ask, and where to report a wrong answer",
}
"""Sections that only the owner can write, each with what belongs there."""

CARD = "docs/markdown/model.md"
PLACEHOLDER = re.compile(r"\b(TODO|FIXME|TBD|XXX)\b")
COMMENT = re.compile(r"<!--.*?-->|^%.*?$", re.DOTALL | re.MULTILINE)
GENERATED = re.compile(r"^(`{3,}|:{3,}).*?^\1\s*$", re.DOTALL | re.MULTILINE)


def unfilled(page: str) -> Iterator[tuple[int, str]]:
    """Yield the line and a message for every owner's section of the card that is missing, empty or a placeholder."""
    name = load("ml").Model.name
    described = re.search(r"^model: *(\S+)$", page, re.MULTILINE)
    if described is None or described[1] != name:
        yield (
            1,
            (
                f"the model card describes {described[1] if described else 'no model'}, but the service serves {name}: "
                f"rewrite its sections, then write `model: {name}` in the first lines of {CARD}"
            ),
        )
    for title, hint in SECTIONS.items():
        heading = re.search(rf"^## {re.escape(title)}[ ]*$", page, re.MULTILINE)
        if heading is None:
            yield 1, f"the model card has no section '{title}': add '## {title}' to {CARD} and say {hint}"
        elif not _is_filled(page[heading.end() :]):
            line = page.count("\n", 0, heading.start()) + 1
            yield line, f"the section '{title}' of the model card is not filled in: say {hint} ({CARD}, line {line})"


def _is_filled(rest: str) -> bool:
    """Tell whether a section, with which `rest` begins, has words of its owner's."""
    body = re.split(r"^##? ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    words = GENERATED.sub("", COMMENT.sub("", body))
    return bool(words.strip()) and not PLACEHOLDER.search(words)


def write(part: str) -> str:
    """Return a generated part of the card as Markdown."""
    parts: Mapping[str, Callable[[], str]] = {
        "summary": summary,
        "features": features,
        "labels": labels,
        "interval": interval,
        "data": data,
        "metrics": metrics,
        "hyperparameters": hyperparameters,
        "environment": environment,
        "versions": versions,
        "contact": contact,
    }
    if part not in parts:
        raise Undocumented(f"The model card has no part {part!r}; there are {', '.join(parts)}.")
    return parts[part]()


@cache
def registry() -> Any:
    """Return the registry that the settings name; a relative path starts at the project's root."""
    settings = load("settings").Settings()
    there = settings.model_copy(update={"models_dir": ROOT / settings.models_dir})
    return library("serving.registry").Registry.of(load("ml").Model, there)


@cache
def champion() -> tuple[str, Any]:
    """Return the number and the manifest of the version that serves."""
    try:
        number = registry().champion()
        if number is None:
            raise Undocumented("There is no model to describe. Train one first: make train")
        return number, registry().manifest(number)
    except library("errors").ServiceError as error:
        raise Undocumented(f"There is no model to describe. {error.detail} Train a new one: make train") from error


@cache
def exported() -> Any:
    """Return the model that serves, opened as the service opens it."""
    number, _ = champion()
    settings = load("settings").Settings()
    try:
        version = library("serving.champion").load(load("ml").Model, registry(), number, settings.max_model_bytes)
    except library("errors").ServiceError as error:
        raise Undocumented(f"The model cannot be described. {error.detail}") from error
    return version.runtime


@cache
def examples() -> Any:
    """Return the examples that the champion was made from."""
    number, manifest = champion()
    settings = load("settings").Settings()
    archive = None
    if settings.dataset_url is not None:
        cache = ROOT / settings.data_dir / "downloads"
        archive = library("ml.download").Archive(str(settings.dataset_url), settings.dataset_sha256, cache).fetch()
    found = load("ml").Model.dataset(archive)
    if found.fingerprint != manifest.dataset.fingerprint:
        raise Undocumented(
            f"Version {number} was trained on other data than `dataset()` reads now, so its figures cannot be drawn. "
            "Train a new version: make train"
        )
    return found


@cache
def evaluation() -> Any:
    """Return the examples held back from the champion, by the same split, and what it computes for them."""
    _, held_back = library("ml.examples").split(load("ml").Model, examples())
    return held_back, exported().compute(held_back.X)


def facts(*known: tuple[str, str]) -> str:
    """Write names and values as a list."""
    return "".join(f":{name}: {value}\n" for name, value in known)


def table(*columns: str, numbers: Collection[int] = ()) -> str:
    """Write the head of a table; columns of numbers stand to the right."""
    rule = "".join("--:|" if place in numbers else "---|" for place in range(len(columns)))
    return f"| {' | '.join(columns)} |\n|{rule}"


def summary() -> str:
    """Say in short which version serves, when it was trained and how good it is."""
    number, manifest = champion()
    score = manifest.score
    trained = format_date("%d %B %Y, %H:%M", date=manifest.created_at, language=languages.current())
    told = tr("{value} {metric} (1 is best) on {rows} examples it had not seen").format(
        value=languages.number(manifest.metrics[score], "0.000"), metric=called(score), rows=manifest.dataset.test_rows
    )
    return facts(
        (tr("Model"), tr("`{name}`, version {number}").format(name=manifest.model, number=number)),
        (tr("Trained"), f"{trained} UTC"),
        (tr("Score"), told),
    )


def features() -> str:
    """List what the model takes as input."""
    _, manifest = champion()
    rows = [table(tr("Feature"), tr("Accepted"), tr("Unit"), tr("Example"), tr("Meaning"))]
    for column in load("ml").Model.Features.columns():
        about = manifest.features["properties"][column.name]
        meaning = about.get("description")
        if not meaning:
            raise Undocumented(f"The feature {column.name} has no docstring: write one below it in src/{PACKAGE}/ml.")
        example = str(column.example).replace("|", "\\|")
        rows.append(f"| `{column.name}` | {accepted(column)} | {about.get('unit', '')} | {example} | {meaning} |")
    return "\n".join(rows)


def accepted(column: Any) -> str:
    """Say what values of a feature are accepted."""
    words = {" to ": tr(" to "), " characters": tr(" characters"), ", or missing": tr(", or missing")}
    text = str(column.range)
    for word, local in words.items() if not column.choices else ():
        text = text.replace(word, local)
    return text


def labels() -> str:
    """List what the model answers."""
    _, manifest = champion()
    return "\n".join(f"{index}. `{label}`" for index, label in enumerate(manifest.labels))


def interval() -> str:
    """Say what value the model predicts, and how wide its prediction interval is."""
    _, manifest = champion()
    model, measured = load("ml").Model, manifest.interval
    shown = {"target": model.target, "unit": model.unit, "half": rounded(measured.half_width)}
    return tr(
        ":Predicted: {target}, in {unit}\n:Interval: the prediction plus and minus {half} {unit}\n"
        ":Made to contain: {share} of the true values, measured on {examples} examples\n"
    ).format(share=f"{measured.coverage:.0%}", examples=measured.examples, **shown)


def data() -> str:
    """Say how many examples of which class the champion saw."""
    _, manifest = champion()
    held_back, _ = evaluation()
    shares = ", ".join(f"{int((held_back.y == index).sum())} {label}" for index, label in enumerate(manifest.labels))
    chosen = tr("{rows} examples held back, chosen at random")
    if shares:
        chosen = tr("{rows} examples held back, chosen at random with every class in proportion ({shares})")
    fingerprint = tr("`{start}…` (SHA-256 of all values, shortened)").format(start=manifest.dataset.fingerprint[:16])
    return facts(
        (tr("Source"), manifest.dataset.source),
        (tr("Learned from"), tr("{rows} examples").format(rows=manifest.dataset.training_rows)),
        (tr("Evaluated on"), chosen.format(rows=manifest.dataset.test_rows, shares=shares)),
        (tr("Fingerprint"), fingerprint),
    )


def metrics() -> str:
    """List the champion's metrics, the best possible value beside each."""
    _, manifest = champion()
    rows = [table(tr("Metric"), tr("Value"), tr("What it is"), numbers=[1])]
    for name, value in manifest.metrics.items():
        rows.append(f"| {called(name)} | {rounded(value)} | {meaning(name)} |")
    return "\n".join(rows)


def hyperparameters() -> str:
    """List what this training varied."""
    _, manifest = champion()
    fields = load("ml").Model.Hyperparameters.model_fields
    rows = [table(tr("Hyperparameter"), tr("Value"), tr("Meaning"))]
    for name, value in manifest.hyperparameters.items():
        about = fields[name].description if name in fields else None
        if not about:
            raise Undocumented(f"The hyperparameter {name} has no docstring: write one below it in src/{PACKAGE}/ml.")
        rows.append(f"| `{name}` | {str(value).lower() if isinstance(value, bool) else value} | {about} |")
    return "\n".join(rows)


def environment() -> str:
    """Say what the champion was made with."""
    _, manifest = champion()
    versions = ", ".join(f"{name} {number}" for name, number in manifest.libraries.items())
    files = ", ".join(f"`{name}` {size(record.size)}" for name, record in manifest.files.items())
    commit = f"`{manifest.git_commit}`" if manifest.git_commit else tr("not recorded (no git checkout)")
    export = _export(manifest.parity)
    return facts((tr("Libraries"), versions), (tr("Commit"), commit), (tr("Files"), files), (tr("Export"), export))


def _export(parity: Any) -> str:
    """Say how the export compares with the original."""
    if parity is None:
        return tr("none: the original serves, loaded by joblib, so there is nothing to compare it with")
    return tr(
        "equal to the original on {rows} rows; the largest difference of an output is {difference} "
        "(at most {tolerance} is accepted)"
    ).format(
        rows=languages.number(parity.rows),
        difference=f"{parity.largest_difference:.1g}",
        tolerance=f"{parity.tolerance:.0e}",
    )


KILOBYTES = 10_000
"""Bytes from which on a size is told in kB."""


def size(number: int) -> str:
    """Write a number of bytes for people."""
    if number < KILOBYTES:
        return tr("{number} bytes").format(number=languages.number(number))
    return tr("{number} kB").format(number=languages.number(number / 1000, "#,##0"))


def versions() -> str:
    """List the versions in the registry, newest first, the last twenty of them."""
    serving, _ = champion()
    names = list(champion()[1].metrics)
    rows = [table(tr("Version"), tr("Trained (UTC)"), *map(called, names), "", numbers=[0, *range(2, 2 + len(names))])]
    serves, unreadable = tr("serves"), tr("cannot be read")
    for number in registry().versions()[:20]:
        try:
            manifest = registry().manifest(number)
        except library("errors").ServiceError:
            rows.append(f"| {number} | |" + " |" * len(names) + f" {unreadable} |")
            continue
        known = manifest.metrics
        values = " | ".join(rounded(known[name]) if name in known else "" for name in names)
        note = serves if number == serving else ""
        rows.append(f"| {number} | {manifest.created_at:%Y-%m-%d %H:%M} | {values} | {note} |")
    return "\n".join(rows)


def contact() -> str:
    """Say whom to ask, from `about.toml`."""
    about = ABOUT
    return facts(
        (tr("Owner"), about.author), (tr("Email"), f"<{about.email}>"), (tr("Repository"), f"<{about.repository}>")
    )

"""The model card: what the registry knows about the version that serves, and what its owner has to add."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from project import PACKAGE, ROOT, Undocumented, load

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
    return load("serving.registry").Registry(ROOT / settings.models_dir, load("ml").Model.name)


@cache
def champion() -> tuple[str, Any]:
    """Return the number and the manifest of the version that serves."""
    try:
        number = registry().champion()
        if number is None:
            raise Undocumented("There is no model to describe. Train one first: make train")
        return number, registry().manifest(number)
    except load("errors").ServiceError as error:
        raise Undocumented(f"There is no model to describe. {error.detail} Train a new one: make train") from error


@cache
def evaluation() -> Any:
    """Return the examples held back from the champion, by the same split, and its answers to them."""
    number, manifest = champion()
    training, onnx, download = load("ml.training"), load("ml.onnx"), load("ml.download")
    model, settings = load("ml").Model, load("settings").Settings()
    archive = None
    if settings.dataset_url is not None:
        cache = ROOT / settings.data_dir / "downloads"
        archive = download.fetch(str(settings.dataset_url), settings.dataset_sha256, cache)
    examples = model.dataset(archive)
    if examples.fingerprint != manifest.dataset.fingerprint:
        raise Undocumented(
            f"Version {number} was trained on other data than `dataset()` reads now, so its figures cannot be drawn. "
            "Train a new version: make train"
        )
    _, held_back = training.split(examples)
    exported = onnx.OnnxClassifier(registry().read(number, "model.onnx", settings.max_model_bytes))
    return held_back, exported


def summary() -> str:
    """Say in short which version serves, when it was trained and how good it is."""
    number, manifest = champion()
    score = load("ml.evaluation").SCORE
    return (
        f":Model: `{manifest.model}`, version {number}\n"
        f":Trained: {manifest.created_at:%d %B %Y, %H:%M} UTC\n"
        f":Score: {manifest.metrics[score]:.3f} {score.replace('_', ' ')} (0 to 1) on "
        f"{manifest.dataset.test_rows} examples it had not seen\n"
    )


def features() -> str:
    """List what the model takes as input."""
    _, manifest = champion()
    rows = ["| Feature | Unit | Accepted | Example | Meaning |", "|---|---|---|---|---|"]
    for name, about in manifest.features["properties"].items():
        meaning = about.get("description")
        if not meaning:
            raise Undocumented(f"The feature {name} has no docstring: write one below it in src/{PACKAGE}/ml.")
        rows.append(
            f"| `{name}` | {about['unit']} | {about['minimum']} to {about['maximum']} "
            f"| {about['examples'][0]} | {meaning} |"
        )
    return "\n".join(rows)


def labels() -> str:
    """List what the model answers."""
    _, manifest = champion()
    return "\n".join(f"{index}. `{label}`" for index, label in enumerate(manifest.labels))


def data() -> str:
    """Say how many examples of which class the champion saw."""
    _, manifest = champion()
    held_back, _ = evaluation()
    shares = ", ".join(f"{int((held_back.y == index).sum())} {label}" for index, label in enumerate(manifest.labels))
    return (
        f":Source: {manifest.dataset.source}\n"
        f":Learned from: {manifest.dataset.training_rows} examples\n"
        f":Evaluated on: {manifest.dataset.test_rows} examples held back, chosen at random "
        f"with every class in proportion ({shares})\n"
        f":Fingerprint: `{manifest.dataset.fingerprint[:16]}…` (SHA-256 of all values, shortened)\n"
    )


def metrics() -> str:
    """List the champion's metrics, the best possible value beside each."""
    _, manifest = champion()
    meaning = {
        "accuracy": "share of right answers; 1 is best",
        "balanced_accuracy": "mean recall of the classes, each counted alike; 1 is best",
        "macro_f1": "mean over the classes of the harmonic mean of precision and recall; 1 is best",
        "log_loss": "how surprised the model is by the truth, in nats; 0 is best",
    }
    rows = ["| Metric | Value | What it is |", "|---|--:|---|"]
    for name, value in manifest.metrics.items():
        if name not in meaning:
            raise Undocumented(f"The metric {name} is not explained: add it to docs/_ext/model_card.py.")
        rows.append(f"| {name.replace('_', ' ')} | {value:.3f} | {meaning[name]} |")
    return "\n".join(rows)


def hyperparameters() -> str:
    """List what this training varied."""
    _, manifest = champion()
    fields = load("ml").Model.Hyperparameters.model_fields
    rows = ["| Hyperparameter | Value | Meaning |", "|---|---|---|"]
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
    parity = manifest.parity
    return (
        f":Libraries: {versions}\n"
        f":Code: {f'commit `{manifest.git_commit}`' if manifest.git_commit else 'not recorded (no git checkout)'}\n"
        f":Files: {files}\n"
        f":Export: equal to the original on {parity.rows:,} rows; the largest difference of a probability is "
        f"{parity.largest_difference:.1g} (at most {parity.tolerance:.0e} is accepted)\n"
    )


KILOBYTES = 10_000
"""Bytes from which on a size is told in kB."""


def size(number: int) -> str:
    """Write a number of bytes for people."""
    return f"{number:,} bytes" if number < KILOBYTES else f"{number / 1000:,.0f} kB"


def versions() -> str:
    """List the versions in the registry, newest first, the last twenty of them."""
    serving, _ = champion()
    names = list(champion()[1].metrics)
    rows = [
        "| Version | Trained (UTC) | " + " | ".join(name.replace("_", " ") for name in names) + " | |",
        "|--:|---|" + "--:|" * len(names) + "---|",
    ]
    for number in registry().versions()[:20]:
        try:
            manifest = registry().manifest(number)
        except load("errors").ServiceError:
            rows.append(f"| {number} | |" + " |" * len(names) + " cannot be read |")
            continue
        values = " | ".join(f"{manifest.metrics[name]:.3f}" if name in manifest.metrics else "" for name in names)
        note = "serves" if number == serving else ""
        rows.append(f"| {number} | {manifest.created_at:%Y-%m-%d %H:%M} | {values} | {note} |")
    return "\n".join(rows)


def contact() -> str:
    """Say whom to ask, from `about.toml`."""
    about = load("about").about()
    return f":Owner: {about.author}\n:Email: <{about.email}>\n:Repository: <{about.repository}>\n"

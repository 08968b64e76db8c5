"""Who is measured: the service that this template generates, what it cannot be faster than, and how it once began."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contender import Contender

HERE = Path(__file__).parent / "contenders"


@dataclass(frozen=True)
class Project:
    """A generated project, installed in its `.venv`."""

    root: Path
    """Its folder."""
    folder: Path
    """Where its registry and data are for the benchmark."""

    @property
    def python(self) -> str:
        """Its Python."""
        return str(self.root / ".venv/bin/python")

    @property
    def package(self) -> str:
        """Its package."""
        return next((self.root / "src").glob("*/about.toml")).parent.name

    @property
    def registry(self) -> Path:
        """The newest version of its model."""
        return max(self.folder.glob("models/*/*/model.onnx"), key=lambda path: int(path.parent.name)).parent

    def settings(self, **given: str) -> Mapping[str, str]:
        """Return environment variables for its settings; those that are not named keep their defaults."""
        here = {"models_dir": str(self.folder / "models"), "data_dir": str(self.folder / "var"), **given}
        return {f"{self.package.upper()}_{name.upper()}": text for name, text in here.items()}


def service(project: Project, **settings: str) -> Contender:
    """Return the service as its users run it, but over HTTP."""
    return Contender(
        "service",
        lambda port, workers: [
            *("env", *_given(project.settings(port=str(port), workers=str(workers), **settings))),
            *(project.python, str(HERE / "service.py"), project.package),
        ],
        note="every protection, metric and log",
        directory=project.folder,
    )


def service_over_https(project: Project, *, with_worker: bool = False) -> Contender:
    """Return the service exactly as its users run it: the command `serve`."""
    beside = [] if with_worker else ["--no-worker"]
    return Contender(
        "service over HTTPS",
        lambda port, workers: [
            *(project.python, "-m", project.package, "serve", "--port", str(port), "--workers", str(workers), *beside)
        ],
        note="the command `serve`",
        environment=project.settings(promote="never"),  # what it trains beside is not what is measured
        directory=project.folder,
        scheme="https",
        train="/train",
        training={"gradient_boosting": True, "trees": 1000},
    )


def limit(project: Project, answers: Path) -> Contender:
    """Return what nothing written in Python for uvicorn can be faster than."""
    return Contender(
        "limit",
        lambda port, workers: _uvicorn(project, "limit:app", port, workers),
        note="uvicorn and a constant answer",
        environment={"ANSWERS": str(answers)},
        directory=HERE,
        read=None,
    )


def bare(project: Project) -> Contender:
    """Return JSON in, onnxruntime, JSON out."""
    return _onnx(project, "bare", "uvicorn, json, onnxruntime and nothing else")


def libraries(project: Project) -> Contender:
    """Return the libraries that the service loads, with an application of one route."""
    return _onnx(project, "libraries", "the service's libraries, and one route of FastAPI")


def seed(project: Project) -> Contender:
    """Return the design that this template began with."""
    return Contender(
        "seed",
        lambda port, workers: _uvicorn(project, "seed:app", port, workers),
        note="FastAPI and scikit-learn in the handler",
        environment={"MODEL": str(project.registry / "model.joblib")},
        directory=HERE,
        train="/train",
        training={},
    )


def _onnx(project: Project, name: str, note: str) -> Contender:
    """Return an application of that name, which computes the model's ONNX file."""
    return Contender(
        name,
        lambda port, workers: _uvicorn(project, f"{name}:app", port, workers),
        note=note,
        environment={"MODEL": str(project.registry / "model.onnx")},
        directory=HERE,
    )


def _uvicorn(project: Project, app: str, port: int, workers: int) -> Sequence[str]:
    quiet = ["--no-access-log", "--log-level", "warning"]
    fast = ["--loop", "uvloop", "--http", "httptools"]
    return [project.python, "-m", "uvicorn", app, "--port", str(port), "--workers", str(workers), *fast, *quiet]


def _given(settings: Mapping[str, str]) -> list[str]:
    return [f"{name}={text}" for name, text in settings.items()]

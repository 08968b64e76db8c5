"""What computes a version's output: its ONNX export or, where the owner allows it, the estimator itself."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from io import BytesIO
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import IncompatibleModelVersion, PickleNotAllowed
from ..ml.base import SupervisedModel
from ..ml.manifest import Manifest


class Computes(Protocol):
    """What computes a version's output."""

    def compute(self, X: NDArray[Any]) -> NDArray[np.float32]:
        """Return the output for each row of `X`; shape (rows, features)."""


def open_model(model: type[SupervisedModel], runtime: Literal["onnx", "joblib"], content: bytes) -> Computes:
    """Open the file of a model's version. With `joblib` that runs the code in it: call `check_runtime` first."""
    from ..ml.onnx import OnnxModel  # not needed where the registry is only looked at

    return OnnxModel(content, model.output) if runtime == "onnx" else model.load(BytesIO(content))


def check_runtime(manifest: Manifest, version: str, *, allow_pickle: bool, prefix: str) -> None:
    """Make sure that a version's file may be loaded here: an ONNX model always, a pickle if it is allowed.

    `prefix` is what the names of the variables begin with that hold the settings, for the message.

    Raises:
        PickleNotAllowed: it is a pickle.
        IncompatibleModelVersion: it is one of another release of scikit-learn, which may answer wrongly without a word.

    """
    if manifest.runtime == "onnx":
        return
    if not allow_pickle:
        raise PickleNotAllowed(
            f"Version {version} serves by joblib only: loading it runs the code in its file. "
            f"To allow that, set {prefix}ALLOW_PICKLE=true."
        )
    made_with = manifest.libraries.get("scikit-learn")
    try:
        here = installed("scikit-learn")
    except PackageNotFoundError:
        here = "none"
    if made_with != here:
        raise IncompatibleModelVersion(
            f"Version {version} was made with scikit-learn {made_with}, and here is {here}: a pickle needs the same."
        )

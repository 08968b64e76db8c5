"""A trained model as ONNX, opened the same way by the gate that checks it and by the service that serves it."""

import os

import numpy as np
from numpy.typing import NDArray

from .base import Classes

# Otherwise the library writes a device's identity to the home directory and reports to its maker over the network; its
# own function to turn that off comes too late, once it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime


class OnnxClassifier:
    """A classifier computed by onnxruntime. Safe to use from several threads at once."""

    def __init__(self, content: bytes) -> None:
        """Open a model.

        Raises:
            ValueError: the bytes are not a classifier in ONNX, or its weights are in other files.

        """
        options = onnxruntime.SessionOptions()
        # One row of a small model takes microseconds: waking more threads would cost more than they bring.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # faults are raised, so they need not be printed as well
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ValueError("is not an ONNX model that onnxruntime can open") from error
        if "probabilities" not in [output.name for output in self._session.get_outputs()]:
            raise ValueError("has no output called probabilities")
        self._input = self._session.get_inputs()[0].name

    def predict(self, X: NDArray[np.float32]) -> Classes:
        """Return the most probable class and all probabilities of each row of `X`; shape (rows, features)."""
        (probability,) = self._session.run(["probabilities"], {self._input: X})
        return Classes(index=probability.argmax(axis=1), probability=probability)

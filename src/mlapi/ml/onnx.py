"""A trained model as ONNX, opened the same way by the gate that checks it and by the service that serves it."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Otherwise the library writes a device's identity to the home directory and reports to its maker over the network; its
# own function to turn that off comes too late, once it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

from .likeness import alike

TEXTS_AT_ONCE = 32
"""Texts computed at once. Their matrix of words is dense: its size is that of the vocabulary for each of them."""
TREES = b"TreeEnsemble"
"""What operators of trees are called. The runtime does not tell which a model has, but their names are in its file."""
MANY_TREES = 32 * 2**10
"""Bytes of a model whose trees are so many that sorted rows are computed faster: some 50. Measured."""
MANY_ROWS = 256
"""Rows that are worth sorting. Measured."""


class OnnxModel:
    """A model computed by onnxruntime. Safe to use from several threads at once."""

    def __init__(self, content: bytes, output: str) -> None:
        """Open a model and take its output of this name.

        Raises:
            ValueError: the bytes are not a model in ONNX with that output, or its weights are in other files.

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
        if output not in [one.name for one in self._session.get_outputs()]:
            raise ValueError(f"has no output called {output}")
        self._outputs = [output]
        self._sorts = TREES in content and len(content) >= MANY_TREES
        self._input = self._session.get_inputs()[0].name

    def compute(self, X: NDArray[Any]) -> NDArray[np.float32]:
        """Return the output for each row of `X`; shape (rows, features)."""
        if X.dtype == object and len(X) > TEXTS_AT_ONCE:
            starts = range(0, len(X), TEXTS_AT_ONCE)
            return np.concatenate([self.compute(X[start : start + TEXTS_AT_ONCE]) for start in starts])
        if not self._sorts or len(X) < MANY_ROWS:
            return self._run(X)
        order = alike(X)
        sorted_ = self._run(X[order])
        computed = np.empty_like(sorted_)
        computed[order] = sorted_
        return computed

    def _run(self, X: NDArray[Any]) -> NDArray[np.float32]:
        (computed,) = self._session.run(self._outputs, {self._input: X})
        return np.asarray(computed)

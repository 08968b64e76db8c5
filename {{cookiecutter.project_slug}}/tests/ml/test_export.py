from typing import Any

import numpy as np
import pytest

from package_name.ml import Model
from package_name.ml.base import Classes
from package_name.ml.export import compare
from package_name.ml.onnx import OnnxClassifier

DATA = Model.dataset()


def test_an_exported_model_passes_the_gate_on_thousands_of_rows() -> None:
    model = Model().train(DATA)
    parity = compare(model, OnnxClassifier(model.export()), DATA.X)
    assert parity.passed
    assert parity.rows > 20_000


def test_the_same_training_exports_the_same_bytes() -> None:
    assert Model().train(DATA).export() == Model().train(DATA).export()


class Wrong:
    """An export that is subtly wrong."""

    def __init__(self, right: Any, spoil: Any) -> None:
        self.right, self.spoil = right, spoil

    def predict(self, X: Any) -> Classes:
        answer = self.right.predict(X)
        index, probability = answer.index.copy(), answer.probability.copy()
        self.spoil(index, probability)
        return Classes(index, probability)


def one_label(index: Any, probability: Any) -> None:
    row = probability.max(axis=1).argmax()
    index[row] = (index[row] + 1) % probability.shape[1]


def one_probability(_index: Any, probability: Any) -> None:
    probability[17, 0] += 1e-3


@pytest.mark.parametrize("spoil", [one_label, one_probability])
def test_an_export_that_differs_in_one_row_does_not_pass(spoil: Any) -> None:
    model = Model().train(DATA)
    wrong: Any = Wrong(OnnxClassifier(model.export()), spoil)
    assert not compare(model, wrong, DATA.X).passed


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x0a"])
def test_bytes_that_are_no_model_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"ONNX|outputs"):
        OnnxClassifier(content)


def test_predicting_no_row_is_possible() -> None:
    exported = OnnxClassifier(Model().train(DATA).export())
    assert exported.predict(Model.Features.matrix([])).probability.shape == (0, len(Model.labels))
    assert np.isfinite(exported.predict(DATA.X).probability).all()

from pathlib import Path

import numpy as np

from package_name.ml import Model
from package_name.ml.base import Dataset


def test_a_saved_model_predicts_the_same_when_loaded(tmp_path: Path) -> None:
    data = Model.dataset()
    model = Model(Model.Hyperparameters(seed=3)).train(data)
    model.save(tmp_path / "model.joblib")
    loaded = Model.load(tmp_path / "model.joblib")
    assert loaded.hyperparameters == model.hyperparameters
    assert np.array_equal(loaded.predict(data.X).probability, model.predict(data.X).probability)


def test_equal_data_have_equal_fingerprints_and_others_do_not() -> None:
    data = Model.dataset()
    assert data.fingerprint == Model.dataset().fingerprint
    changed = data.y.copy()
    changed[0] += 1
    assert data.fingerprint != Dataset(data.X, changed, data.source).fingerprint

"""BentoML as its quick start has it: a service class with an API method; BATCH=1 turns adaptive batching on."""

import os

import bentoml
import joblib
import numpy as np

BATCH = os.environ.get("BATCH") == "1"


@bentoml.service(workers=1)
class Iris:
    """Predicts classes."""

    def __init__(self) -> None:
        self.estimator = joblib.load(os.environ["MODEL"])

    @bentoml.api(batchable=BATCH)
    def predict(self, data: np.ndarray) -> np.ndarray:
        """Return the class of each row."""
        found: np.ndarray = self.estimator.predict(data)
        return found

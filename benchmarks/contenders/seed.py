"""The seed of this template: FastAPI with pydantic, and scikit-learn in the handler. Run by uvicorn.

MODEL names the joblib file that the service trained, so all contenders answer with the same model.
"""

import os
from typing import Any

import joblib
from fastapi import BackgroundTasks, FastAPI
from pydantic import BaseModel
from sklearn.datasets import load_iris

LABELS = ("setosa", "versicolor", "virginica")

app = FastAPI()
estimator = joblib.load(os.environ["MODEL"])["estimator"]


class Rows(BaseModel):
    """What is to be predicted."""

    data: list[tuple[float, float, float, float]]


class Answer(BaseModel):
    """What is answered."""

    prediction: list[int]
    label: list[str]
    probability: list[list[float]]


@app.post("/predict")
def predict(rows: Rows) -> Answer:
    """Predict each row."""
    probability = estimator.predict_proba(rows.data)
    index = probability.argmax(axis=1).tolist()
    return Answer(prediction=index, label=[LABELS[i] for i in index], probability=probability.tolist())


@app.post("/train", status_code=202)
def train(later: BackgroundTasks) -> dict[str, Any]:
    """Train anew, in a thread of this process, once this is answered."""
    later.add_task(_fit)
    return {"status": "accepted"}


def _fit() -> None:
    type(estimator)(**{**estimator.get_params(), "n_estimators": 1000}).fit(*load_iris(return_X_y=True))

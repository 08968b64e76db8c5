"""Small models of each kind, so that what they share is tested whatever the service predicts."""

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from mlapi.ml import base, features
from mlapi.ml.classification import Classifier
from mlapi.ml.features import category, number, text
from mlapi.ml.regression import Regressor


class Flat(features.Features):
    """A flat to let."""

    area: float = number(example=60, low=5, high=500, unit="m²")
    """Floor area."""
    quarter: Literal["north", "south", "old town"] = category(example="south")
    """Part of the town."""
    year: float | None = number(example=1970, low=1000, high=2100, unit="1", optional=True)
    """Year it was built."""


class Review(features.Features):
    """An opinion."""

    words: str = text(example="very good", min_length=3, max_length=200)
    """Its words."""


def flats(rows: int) -> tuple[Any, Any]:
    """Return made-up flats and what they cost."""
    random = np.random.default_rng(0)
    area, quarter = random.uniform(20, 200, rows), random.integers(0, 3, rows)
    year = np.where(random.random(rows) < 0.2, np.nan, random.integers(1900, 2020, rows))
    return np.column_stack([area, quarter, year]).astype(np.float32), area * (5 + quarter) + random.normal(0, 9, rows)


class Rent(Regressor):
    """The rent of a flat."""

    name = "rent"
    target = "rent"
    unit = "EUR"
    typical = 400.0
    Features = Flat
    Hyperparameters: ClassVar = base.Hyperparameters

    @classmethod
    def dataset(cls, archive: Path | None = None) -> base.Dataset:
        if archive:
            return cls.read_table(archive)
        X, y = flats(400)
        return base.Dataset(X, y, "made up")

    def build(self) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        return HistGradientBoostingRegressor(random_state=self.hyperparameters.seed, max_iter=20)


class Dear(Classifier):
    """Tell dear flats from cheap ones."""

    name = "dear"
    target = "dear"
    labels = ("cheap", "dear")
    Features = Flat
    Hyperparameters: ClassVar = base.Hyperparameters

    @classmethod
    def dataset(cls, archive: Path | None = None) -> base.Dataset:
        if archive:
            return cls.read_table(archive)
        X, y = flats(400)
        return base.Dataset(X, (y > np.median(y)).astype(np.int64), "made up")

    def build(self) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(random_state=self.hyperparameters.seed, max_iter=20)


class Mood(Classifier):
    """Tell good opinions from bad ones."""

    name = "mood"
    target = "mood"
    labels = ("bad", "good")
    Features = Review
    Hyperparameters: ClassVar = base.Hyperparameters

    @classmethod
    def dataset(cls, archive: Path | None = None) -> base.Dataset:
        if archive:
            return cls.read_table(archive)
        random = np.random.default_rng(0)
        words = [["awful", "poor", "sad"], ["fine", "great", "lovely"]]
        y = random.integers(0, 2, 100)
        X = cls.Features.matrix([[" ".join(random.choice([*words[i], "a", "the", "day"], 6))] for i in y])
        return base.Dataset(X, y, "made up")

    def build(self) -> Any:
        from sklearn.compose import ColumnTransformer
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        return make_pipeline(ColumnTransformer([("words", TfidfVectorizer(), 0)]), LogisticRegression())

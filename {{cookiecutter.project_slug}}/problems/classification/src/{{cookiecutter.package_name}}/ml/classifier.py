"""The example: tell three species of iris apart by four measurements of a flower.

This is the file to replace with your own model.
"""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from mlapi import Classifier, Dataset, Features, Hyperparameters, number
from pydantic import Field


class IrisFeatures(Features):
    """The measurements of one iris flower."""

    sepal_length: float = number(example=5.1, low=0, high=30, unit="cm")
    """Length of a sepal, one of the outer leaves that protect the bud."""
    sepal_width: float = number(example=3.5, low=0, high=30, unit="cm")
    """Width of that sepal at its widest."""
    petal_length: float = number(example=1.4, low=0, high=30, unit="cm")
    """Length of a petal, one of the inner, coloured leaves."""
    petal_width: float = number(example=0.2, low=0, high=30, unit="cm")
    """Width of that petal at its widest."""


class IrisHyperparameters(Hyperparameters):
    """What a training may vary: a single decision tree, or many trees boosted."""

    gradient_boosting: bool = False
    """Whether to boost many small trees instead of growing one."""
    max_depth: int = Field(default=3, ge=1, le=32)
    """Questions asked at most from the root of a tree to a leaf."""
    trees: int = Field(default=100, ge=1, le=1000)
    """Trees to boost, per class; without `gradient_boosting` there is one."""
    learning_rate: float = Field(default=0.1, gt=0, le=1)
    """Share of each boosted tree's correction that is kept."""


class IrisClassifier(Classifier):
    """Tell iris species apart with a decision tree, or with gradient boosting.

    The data are Fisher's 150 flowers (R. A. Fisher, "The use of multiple measurements in taxonomic problems", Annals of
    Eugenics 7, 1936), as bundled with scikit-learn.
    """

    name = "iris"
    target = "species"
    labels = ("setosa", "versicolor", "virginica")
    Features = IrisFeatures
    Hyperparameters: ClassVar = IrisHyperparameters

    hyperparameters: IrisHyperparameters

    @classmethod
    def dataset(cls, archive: Path | None = None) -> Dataset:
        """Read Fisher's flowers, or a CSV file with the columns of `Features` and a column `species`."""
        if archive is not None:
            return cls.read_table(archive)
        from sklearn.datasets import load_iris

        X, y = load_iris(return_X_y=True)
        return Dataset(X.astype(np.float32), y.astype(np.int64), source="scikit-learn's load_iris")

    def build(self) -> Any:
        """Return the estimator, not scaled: trees do not need it, and scaling before a tree does not export exactly."""
        chosen = self.hyperparameters
        if chosen.gradient_boosting:
            from sklearn.ensemble import GradientBoostingClassifier

            return GradientBoostingClassifier(
                learning_rate=chosen.learning_rate,
                max_depth=chosen.max_depth,
                n_estimators=chosen.trees,
                random_state=chosen.seed,
            )
        from sklearn.tree import DecisionTreeClassifier

        return DecisionTreeClassifier(max_depth=chosen.max_depth, random_state=chosen.seed)

"""The example: predict what a house sells for by thirteen of its features.

This is the file to replace with your own model.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from mlapi import Dataset, Features, Hyperparameters, Regressor, category, number
from pydantic import Field

BUNDLED = Path(__file__).parent / "data" / "house_prices.csv"
"""Sales of houses; `NOTICE` beside the file says where they come from."""


class HouseFeatures(Features):
    """A house in King County, Washington, as its assessor describes it."""

    bedrooms: float = number(example=3, low=0, high=20, unit="1")
    """Number of bedrooms."""
    bathrooms: float = number(example=2.25, low=0, high=15, unit="1")
    """Number of bathrooms; one with a shower alone counts three quarters, one with neither bath nor shower a half."""
    living_area: float = number(example=1910, low=100, high=20_000, unit="sq ft")
    """Floor area of the living space, basement included; 1 sq ft is 0.093 m²."""
    lot_area: float = number(example=7600, low=100, high=5_000_000, unit="sq ft")
    """Area of the land."""
    floors: float = number(example=1.5, low=1, high=5, unit="1")
    """Number of floors; a half is an attic."""
    waterfront: Literal["no", "yes"] = category(example="no")
    """Whether the land borders on water."""
    view: float = number(example=0, low=0, high=4, unit="1")
    """Quality of the view, from 0 (none) to 4 (excellent)."""
    condition: Literal["poor", "fair", "average", "good", "very good"] = category(example="average")
    """State of repair, relative to the age."""
    grade: float = number(example=7, low=1, high=13, unit="1")
    """Quality of construction, from 1 to 13: below 4 falls short of the building code, 7 is average, 13 a mansion."""
    year_built: float = number(example=1975, low=1850, high=2030, unit="1")
    """Year in which it was built."""
    latitude: float = number(example=47.57, low=47.1, high=47.8, unit="degrees north")
    """Where it stands, to about 0.01 degree."""
    longitude: float = number(example=-122.23, low=-122.6, high=-121.3, unit="degrees east")
    """Where it stands, to about 0.01 degree; west of Greenwich is below 0."""
    neighbours_area: float = number(example=1840, low=100, high=20_000, unit="sq ft")
    """Mean living area of the fifteen nearest houses."""


class HouseHyperparameters(Hyperparameters):
    """What a training may vary: how many trees there are, and how closely each fits the examples."""

    trees: int = Field(default=60, ge=1, le=300)
    """Trees in the forest; their predictions are averaged."""
    max_depth: int = Field(default=16, ge=1, le=32)
    """Questions asked at most from the root of a tree to a leaf."""
    min_samples_leaf: int = Field(default=3, ge=1, le=1000)
    """Examples that each leaf holds at least."""
    features_tried: float = Field(default=0.5, gt=0, le=1)
    """Share of the features among which each question is chosen."""


class HousePriceRegressor(Regressor):
    """Predict the price of a house with a random forest.

    The data are 4,000 sales in King County, Washington, from May 2014 to May 2015, drawn from "House Sales in King
    County, USA" (CC0), which comes from the public records of the county's assessor. The forest is that of L. Breiman,
    "Random forests", Machine Learning 45, 2001.
    """

    name = "house-prices"
    target = "price"
    unit = "USD"
    typical = 450_000.0
    lowest = 0.0
    Features = HouseFeatures
    Hyperparameters: ClassVar = HouseHyperparameters

    hyperparameters: HouseHyperparameters

    @classmethod
    def dataset(cls, archive: Path | None = None) -> Dataset:
        """Read the bundled sales, or a CSV file with the columns of `Features` and a column `price`."""
        if archive is not None:
            return cls.read_table(archive)
        return replace(cls.read_table(BUNDLED), source="4,000 house sales in King County, May 2014 to May 2015 (CC0)")

    def build(self) -> Any:
        """Return the estimator. It runs on one core: a forest this small gains nothing from more."""
        from sklearn.ensemble import RandomForestRegressor

        chosen = self.hyperparameters
        return RandomForestRegressor(
            max_depth=chosen.max_depth,
            max_features=chosen.features_tried,
            min_samples_leaf=chosen.min_samples_leaf,
            n_estimators=chosen.trees,
            random_state=chosen.seed,
        )

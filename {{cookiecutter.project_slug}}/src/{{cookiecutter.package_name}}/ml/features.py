"""What one row of input is made of; the API, the CSV format and the checks are all derived from it."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field


def number(*, example: float, low: float, high: float, unit: str) -> Any:
    """Declare a feature that is a number.

    Args:
        example: A typical value, shown in the documentation and used to warm a model up.
        low: The smallest value that is accepted, in `unit`.
        high: The largest value that is accepted, in `unit`; at most the largest float32.
        unit: The unit of measurement, such as `cm`; `1` for a pure number.

    """
    return Field(ge=low, le=high, examples=[example], json_schema_extra={"unit": unit})


class Features(BaseModel):
    """One row of input. Subclass it with one `number(...)` per feature and say below each what it means."""

    model_config = ConfigDict(
        allow_inf_nan=False, extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Refuse a feature that cannot work, when it is declared.

        Raises:
            TypeError: a feature has the name of a method, or is not declared with `number(...)`.

        """
        for name, field in cls.model_fields.items():
            if hasattr(Features, name):
                raise TypeError(f"{cls.__name__}.{name} cannot be the name of a feature: a method is called so")
            if not field.examples:
                raise TypeError(f"{cls.__name__}.{name} must be declared with number(...)")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the features, in the order of the matrix's columns."""
        return tuple(cls.model_fields)

    @classmethod
    def example(cls) -> Self:
        """Return the row made of every feature's example."""
        return cls(**{name: field.examples[0] for name, field in cls.model_fields.items() if field.examples})

    @classmethod
    def bounds(cls) -> NDArray[np.float64]:
        """Return the lowest and highest accepted values; shape (2, features)."""
        schema = cls.model_json_schema()["properties"]
        return np.array([[schema[name][key] for name in cls.names()] for key in ("minimum", "maximum")])

    @classmethod
    def matrix(cls, rows: Sequence[Sequence[float]]) -> NDArray[np.float32]:
        """Return the model's input for rows of values in the order of `names()`; shape (rows, features)."""
        return np.asarray(rows, dtype=np.float32).reshape(len(rows), len(cls.model_fields))

    def values(self) -> tuple[float, ...]:
        """Return this row's values in the order of `names()`."""
        return tuple(self.__dict__.values())

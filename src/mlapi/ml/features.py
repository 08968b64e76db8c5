"""What one row of input is made of; the API, the CSV format and the checks are all derived from it."""

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin

import numpy as np
from annotated_types import Ge, Le, MaxLen, MinLen
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

NO_NUL = r"^[^\x00]*$"
"""What a text must match: libraries written in C take the character NUL for its end."""


def number(*, example: float, low: float, high: float, unit: str, optional: bool = False) -> Any:
    """Declare a feature that is a number: annotate it `float`, or `float | None` if it may be missing.

    Args:
        example: A typical value, shown in the documentation and used to warm a model up.
        low: The smallest value that is accepted, in `unit`.
        high: The largest value that is accepted, in `unit`; at most the largest float32.
        unit: The unit of measurement, such as `cm`; `1` for a pure number.
        optional: Whether it may be missing: left out, null, or an empty cell of a table. The model sees NaN.

    """
    return Field(_default(optional), ge=low, le=high, examples=[example], json_schema_extra={"unit": unit})


def category(*, example: str, optional: bool = False) -> Any:
    """Declare a feature that is one of a few words: annotate it `Literal["a", "b"]`, or `... | None` likewise.

    The model sees the index of the word in that list, 0 the first, and NaN for a missing one.
    """
    return Field(_default(optional), examples=[example])


def text(*, example: str, min_length: int, max_length: int) -> Any:
    """Declare the feature of a model that reads text: annotate it `str`. It is then the model's only feature.

    Args:
        example: A typical text.
        min_length: The fewest characters that are accepted.
        max_length: The most characters that are accepted.

    """
    return Field(examples=[example], min_length=min_length, max_length=max_length, pattern=NO_NUL)


def _default(optional: bool) -> Any:  # noqa: FBT001 - private
    return None if optional else PydanticUndefined


@dataclass(frozen=True)
class Column:
    """A feature as tables and matrices know it."""

    name: str
    """Its name, and the header of its column."""
    kind: Literal["number", "category", "text"]
    """What its values are."""
    example: Any
    """A typical value."""
    optional: bool = False
    """Whether a value may be missing."""
    low: float = 0
    """The smallest value in the matrix; 0 for a category."""
    high: float = 0
    """The largest value in the matrix; the index of the last choice for a category."""
    choices: tuple[str, ...] = ()
    """The words of a category, in the order of their index."""
    min_length: int = 0
    """The fewest characters of a text."""
    max_length: int = 0
    """The most characters of a text."""

    @property
    def range(self) -> str:
        """What is accepted, in words."""
        if self.kind == "text":
            return f"{self.min_length} to {self.max_length} characters"
        accepted = ", ".join(self.choices) or f"{self.low:.10g} to {self.high:.10g}"
        return f"{accepted}, or missing" if self.optional else accepted


class Features(BaseModel):
    """One row of input. Subclass it with a `number`, `category` or `text` per feature; say below each what it means."""

    model_config = ConfigDict(
        allow_inf_nan=False, extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )

    _columns: ClassVar[tuple[Column, ...]] = ()
    _is_text: ClassVar[bool] = False
    _codes: ClassVar[dict[int, Mapping[str | None, float]]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Refuse a feature that cannot work, when it is declared.

        Raises:
            TypeError: a feature has the name of a method, or is not declared as the functions above say.

        """
        for name in cls.model_fields:
            if hasattr(Features, name):
                raise TypeError(f"{cls.__name__}.{name} cannot be the name of a feature: a method is called so")
        cls._columns = tuple(_column(f"{cls.__name__}.{name}", name, field) for name, field in cls.model_fields.items())
        cls._is_text = any(column.kind == "text" for column in cls._columns)  # known, as each matrix asks for it
        if len(cls._columns) > 1 and cls._is_text:
            raise TypeError(f"{cls.__name__} must have no feature beside its text")
        cls._codes = {
            place: {None: np.nan} | {word: float(index) for index, word in enumerate(column.choices)}
            for place, column in enumerate(cls._columns)
            if column.kind == "category"
        }

    @classmethod
    def columns(cls) -> tuple[Column, ...]:
        """Return the features as tables know them, in the order of the matrix's columns."""
        return cls._columns

    @classmethod
    def is_text(cls) -> bool:
        """Tell whether the model reads text, so that its matrix holds strings instead of numbers."""
        return cls._is_text

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the features, in the order of the matrix's columns."""
        return tuple(cls.model_fields)

    @classmethod
    def example(cls) -> Self:
        """Return the row made of every feature's example."""
        return cls(**{column.name: column.example for column in cls._columns})

    @classmethod
    def bounds(cls) -> NDArray[np.float64]:
        """Return the lowest and highest accepted values of the matrix; shape (2, features)."""
        return np.array([[column.low for column in cls._columns], [column.high for column in cls._columns]])

    @classmethod
    def matrix(cls, rows: Sequence[Sequence[Any]]) -> NDArray[Any]:
        """Return the model's input for rows of values in the order of `names()`.

        Returns:
            An array of shape (rows, features) of float32, where a category is the index of its word and a missing value
            NaN; for a model that reads text, strings as objects. Override it to prepare texts, for training and serving
            alike.

        """
        if cls.is_text():
            return np.array(rows, dtype=object).reshape(len(rows), 1)
        if cls._codes:
            codes = cls._codes
            rows = [[codes[i][value] if i in codes else value for i, value in enumerate(row)] for row in rows]
        return np.asarray(rows, dtype=np.float32).reshape(len(rows), len(cls._columns))

    def values(self) -> tuple[Any, ...]:
        """Return this row's values in the order of `names()`."""
        return tuple(self.__dict__.values())


def _column(place: str, name: str, field: FieldInfo) -> Column:
    """Read a feature's declaration; `place` names it in an error."""
    if not field.examples:
        raise TypeError(f"{place} must be declared with number(...), category(...) or text(...)")
    wanted, optional = _without_none(field.annotation)
    if optional != (not field.is_required()):
        raise TypeError(f"{place} needs both `| None` in its annotation and optional=True, or neither")
    limits = {type(limit): limit for limit in field.metadata}
    example = field.examples[0]
    if Ge in limits and wanted is float:
        return Column(name, "number", example, optional, low=limits[Ge].ge, high=limits[Le].le)
    if MinLen in limits and wanted is str:
        lengths = {"min_length": limits[MinLen].min_length, "max_length": limits[MaxLen].max_length}
        return Column(name, "text", example, **lengths)
    choices = get_args(wanted)
    if get_origin(wanted) is Literal and not limits and all(isinstance(choice, str) for choice in choices):
        return Column(name, "category", example, optional, high=len(choices) - 1, choices=choices)
    raise TypeError(f"{place} must be a float with number(...), a Literal with category(...) or a str with text(...)")


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """Return an annotation without its `| None`, and whether it had one."""
    if get_origin(annotation) in {Union, types.UnionType}:
        others = [part for part in get_args(annotation) if part is not type(None)]
        if len(others) == 1:
            return others[0], True
    return annotation, False

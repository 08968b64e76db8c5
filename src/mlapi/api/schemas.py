"""What requests and answers look like, derived from the model's features and labels."""

from collections.abc import Sequence
from copy import copy
from datetime import datetime
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ..ml.features import Features
from ..ml.manifest import Manifest


def predict_examples(features: type[Features]) -> dict[str, Any]:
    """Return bodies of `POST /predict` as the documentation shows them: the values in order, or by name."""
    example = features.example()
    return {"rows": {"data": [example.values()]}, "objects": {"data": [example.model_dump()]}}


class PredictRequest(BaseModel):
    """Rows to predict, each an array of values in order or an object of values by name."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    data: list[Any]
    """The rows."""

    def rows(self) -> list[Any]:
        """Return each row's values in the order of the features; there is a row, and all are of one form."""
        return [row.values() for row in self.data] if isinstance(self.data[0], Features) else self.data


@cache
def predict_request(features: type[Features], max_rows: int) -> type[PredictRequest]:
    """Return the pydantic model of a body with 1 to `max_rows` rows of these features."""
    limits = Field(min_length=1, max_length=max_rows)
    row: Any = tuple.__class_getitem__(tuple(_element(field) for field in features.model_fields.values()))
    arrays: Any = Annotated[list.__class_getitem__(row), limits, Tag("rows")]
    objects: Any = Annotated[list.__class_getitem__(features), limits, Tag("objects")]
    data: Any = Annotated[arrays | objects, Discriminator(_form)]
    described = Field(description="The rows: all of them arrays, or all of them objects.")
    return create_model(
        "PredictRequest", __base__=PredictRequest, __doc__=PredictRequest.__doc__, data=(data, described)
    )


def _element(field: FieldInfo) -> Any:
    """Return the type of a feature's value in a row that is an array: there, a missing one is null, not left out."""
    required = copy(field)
    required.default = PydanticUndefined
    return Annotated[field.annotation, required]


def _form(data: Any) -> str:
    """Tell by its first row how a body spells rows."""
    return "objects" if isinstance(data, list) and data and isinstance(data[0], dict) else "rows"


def place_of_row_value(names: Sequence[str], place: tuple[int | str, ...]) -> str:
    """Name a place in a `PredictRequest`, such as `data[3].width`; `names` are those of the features."""
    if len(place) <= 2:  # noqa: PLR2004 - (data, form)
        return str(place[0]) if place else "body"
    row, *field = place[2:]
    name = names[field[0]] if field and isinstance(field[0], int) and field[0] < len(names) else None
    return f"data[{row}]" + (f".{name or field[0]}" if field else "")


class ModelVersion(BaseModel):
    """A version in the registry, in short."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    version: str
    """Its number."""
    champion: bool
    """Whether it is the one that serves."""
    created_at: datetime
    """When it was trained, in UTC."""
    metrics: dict[str, float]
    """How good it is on examples it has not seen."""


class ModelVersions(BaseModel):
    """All versions of the model, newest first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    model: str
    """Name of the model."""
    versions: list[ModelVersion]
    """The versions, newest first."""


class ModelVersionDetails(ModelVersion):
    """A version in the registry, with its whole record."""

    manifest: Manifest
    """What it is and how it was made."""

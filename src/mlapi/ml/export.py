"""From scikit-learn to ONNX."""

import itertools
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import SupervisedModel

OPSET = {"": 21, "ai.onnx.ml": 3}
"""Fixed versions of the operators, so that the same model gives the same bytes."""

WORDS = {r"(?u)\b\w\w+\b": r"[\p{L}\p{N}_][\p{L}\p{N}_]+"}
"""What scikit-learn takes for a word by default, and the same in the words of RE2, which the runtime speaks."""


def sklearn_to_onnx(model: "SupervisedModel") -> bytes:
    """Convert the trained scikit-learn estimator of a model, and call its output as the service does.

    A vectorizer with a `token_pattern` of its own needs one that Python and RE2 read alike. One that puts letters into
    small ones does so otherwise than Python for a few of them: better do that in `Features.matrix`.
    """
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    tensor = StringTensorType if model.Features.is_text() else FloatTensorType
    classifies = model.kind == "classification"
    options: dict[Any, Any] = {id(model.estimator): {"zipmap": False}} if classifies else {}
    with warnings.catch_warnings():
        # The library gives protobuf True and False for 1 and 0, which is why protobuf must stay below 7.
        warnings.filterwarnings("ignore", ".*Expected an int, got a boolean", DeprecationWarning)
        graph = to_onnx(
            model.estimator,
            initial_types=[("X", tensor([None, len(model.Features.names())]))],
            final_types=None if classifies else [(model.output, FloatTensorType([None, 1]))],
            options={**options, **_vectorizers(model.estimator)},
            target_opset=OPSET,
        )
    return to_bytes(graph, model.name)


def to_bytes(graph: Any, name: str) -> bytes:
    """Return an ONNX model (`onnx.ModelProto`) as bytes, such that the same training gives the same ones.

    Exporters give graphs random names, number what is in them on and on for as long as the process lives, and have sets
    of operators in an order that differs from process to process. Some also note where on this machine the code of each
    node stands, which is nobody's business: it is removed.
    """
    _forget_origin(graph)
    graph.graph.name = name
    ends = {end.name: end.name for end in (*graph.graph.input, *graph.graph.output)}
    _name_by_place(graph.graph, ends, (f"inner_{number}" for number in itertools.count()))
    graph.opset_import.sort(key=lambda operators: operators.domain)
    return bytes(graph.SerializeToString(deterministic=True))


def _forget_origin(message: Any) -> None:
    """Remove what exporters noted, from a part of a graph and all its parts."""
    for field, value in message.ListFields():
        if field.name in {"doc_string", "metadata_props"}:
            message.ClearField(field.name)
        elif field.message_type:
            for part in [value] if hasattr(value, "ListFields") else value:
                _forget_origin(part)


def _name_by_place(graph: Any, outer: Mapping[str, str], fresh: Iterator[str]) -> None:
    """Name the nodes of a graph, the values between them and its constants anew, in the order in which they stand.

    Args:
        graph: A graph, or a branch or loop of one, which is a graph in a node.
        outer: The new names of what is known where it stands.
        fresh: Names that nothing has yet.

    """
    names = dict(outer)
    constants = [*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer)]
    for value in (*graph.input, *constants):
        value.name = names.setdefault(value.name, next(fresh))
    for node in graph.node:
        node.name = next(fresh)
        node.input[:] = [names.get(one, one) for one in node.input]
        for part in (part for field in node.attribute for part in (field.g, *field.graphs) if part.node):
            _name_by_place(part, names, fresh)
        node.output[:] = [one and names.setdefault(one, next(fresh)) for one in node.output]
    for value in (*graph.output, *graph.value_info):
        value.name = names.get(value.name, value.name)


def _vectorizers(estimator: Any) -> dict[Any, Any]:
    """Return the options of the vectorizers in a pipeline: words as above, in a locale that every system has."""
    from sklearn.feature_extraction.text import CountVectorizer

    parts = estimator.get_params().values() if hasattr(estimator, "get_params") else ()
    found = [part for part in parts if isinstance(part, CountVectorizer)]
    return {
        type(part): {"tokenexp": WORDS.get(part.token_pattern, part.token_pattern), "locale": "C.UTF-8"}
        for part in found
    }

import os
import subprocess
import sys
from functools import partial
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from sample.ml import Model
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlapi.ml.export import to_bytes
from mlapi.ml.onnx import OnnxModel
from mlapi.ml.parity import compare


def test_the_model_passes_the_gate_on_thousands_of_rows() -> None:
    data = Model.dataset()
    model = Model().train(data)
    parity = compare(model, OnnxModel(model.export(), Model.output).compute, data.X)
    assert parity.passed
    assert parity.rows > len(data.X) + (1_000 if Model.Features.is_text() else 20_000)


def test_a_model_of_any_kind_passes_the_gate(toy: Any) -> None:
    data = toy.dataset()
    model = toy().train(data)
    parity = compare(model, OnnxModel(model.export(), toy.output).compute, data.X)
    assert parity.passed, parity
    assert parity.rows > 1_000


def test_the_same_training_exports_the_same_bytes(toy: Any) -> None:
    data = toy.dataset()
    assert toy().train(data).export() == toy().train(data).export()


def test_an_estimator_whose_converter_counts_on_is_exported_to_the_same_bytes(dear: Any) -> None:
    data, model = dear.dataset(), dear()
    model.estimator = make_pipeline(SimpleImputer(), KNeighborsClassifier(3)).fit(data.X, data.y)
    first, second = model.export(), model.export()
    assert first == second
    assert compare(model, OnnxModel(second, dear.output).compute, data.X).label_differences == 0


def test_a_loop_keeps_its_meaning_when_what_is_in_it_is_named_anew() -> None:
    """Its body reads a value from outside; each turn doubles what is carried and adds that value."""
    tensor = partial(helper.make_tensor_value_info, elem_type=TensorProto.FLOAT, shape=[1])
    flag = partial(helper.make_tensor_value_info, elem_type=TensorProto.BOOL, shape=[])
    body = helper.make_graph(
        [
            helper.make_node("Add", ["carried", "carried"], ["twice"]),
            helper.make_node("Add", ["twice", "added"], ["next"]),
            helper.make_node("Identity", ["go_on"], ["goes_on"]),
        ],
        "body",
        [helper.make_tensor_value_info("turn", TensorProto.INT64, []), flag("go_on"), tensor("carried")],
        [flag("goes_on"), tensor("next")],
    )
    nodes = [
        helper.make_node("Identity", ["X"], ["added"]),
        helper.make_node("Loop", ["turns", "", "X"], ["values"], body=body),
    ]
    turns = helper.make_tensor("turns", TensorProto.INT64, [], [3])
    graph = helper.make_graph(nodes, "graph", [tensor("X")], [tensor("values")], [turns])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    content = to_bytes(model, "name")
    assert b"carried" not in content
    assert OnnxModel(content, "values").compute(np.ones(1, np.float32)).tolist() == [15]


def test_another_process_exports_the_same_bytes() -> None:
    """Whatever the order in which that process looks through sets."""
    program = (
        "import sys; from hashlib import sha256; from importlib import import_module; "
        "Model = import_module(sys.argv[1]).Model; "
        "print(sha256(Model().train(Model.dataset()).export()).hexdigest())"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, Model.__module__.rpartition(".")[0]],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
        )
        for seed in ("0", "1")
    ]
    digests = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert digests[0] == digests[1] != b""


def one_hot(*, fill: bool) -> Any:
    encoder = OneHotEncoder(handle_unknown="ignore")
    columns = [
        ("quantities", make_pipeline(SimpleImputer(), StandardScaler()), [0, 2]),
        (
            "categories",
            make_pipeline(SimpleImputer(strategy="constant", fill_value=-1), encoder) if fill else encoder,
            [1],
        ),
    ]
    return make_pipeline(ColumnTransformer(columns), LogisticRegression(max_iter=1000))


@pytest.mark.parametrize(
    ("estimator", "equal"),
    [
        (HistGradientBoostingClassifier(max_iter=20), True),
        (HistGradientBoostingClassifier(max_iter=20, categorical_features=[1]), False),
        (RandomForestClassifier(n_estimators=20, random_state=0), False),
        (make_pipeline(SimpleImputer(), RandomForestClassifier(n_estimators=20, random_state=0)), True),
        (one_hot(fill=True), True),
    ],
    ids=["boosted", "boosted with categories", "forest", "forest without gaps", "one-hot"],
)
def test_the_documentation_says_which_exports_are_equal(dear: Any, estimator: Any, *, equal: bool) -> None:
    """A failure may be good news: bring docs/explanation/onnx.md up to date with it."""
    data = dear.dataset()
    model = dear()
    model.estimator = estimator.fit(data.X, data.y)
    assert compare(model, OnnxModel(model.export(), model.output).compute, data.X).passed is equal


def test_gaps_among_categories_must_be_filled_before_an_export(dear: Any) -> None:
    data = dear.dataset()
    model = dear()
    X = np.where(np.arange(len(data.X))[:, None] % 7, data.X, np.float32(np.nan))
    model.estimator = one_hot(fill=False).fit(X, data.y)
    with pytest.raises(ValueError, match="NaN"):
        model.export()


def test_an_export_says_nothing_of_the_machine_it_was_made_on(toy: Any) -> None:
    import onnx

    graph = onnx.load_from_string(toy().train(toy.dataset()).export())
    without = to_bytes(graph, "name")
    for part in (graph, graph.graph, graph.graph.node[0], graph.graph.input[0]):
        part.doc_string = "made in /home/me"
        part.metadata_props.add(key="stack_trace", value="/home/me/model.py")
    assert to_bytes(graph, "name") == without
    assert b"/home/me" not in without


def spoilt(model: Any, row: int, change: float) -> Any:
    """Return an export that computes one row wrongly."""

    def compute(X: Any) -> Any:
        output = OnnxModel(model.export(), model.output).compute(X)
        output[row] = output[row] + change if model.kind == "regression" else output[row, ::-1]
        return output

    return compute


def test_an_export_that_differs_in_one_row_does_not_pass(toy: Any) -> None:
    data = toy.dataset()
    model = toy().train(data)
    parity = compare(model, spoilt(model, 17, 1.0), data.X)
    assert not parity.passed
    assert str(parity.worst_row) == str(data.X[17].tolist())


def test_an_export_that_is_not_finite_does_not_pass(rent: Any) -> None:
    model = rent().train(rent.dataset())
    assert not compare(model, spoilt(model, 17, np.nan), rent.dataset().X).passed


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x0a"])
def test_bytes_that_are_no_model_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"ONNX|output"):
        OnnxModel(content, "probabilities")


def test_a_model_without_the_output_is_refused(toy: Any) -> None:
    with pytest.raises(ValueError, match="has no output called answers"):
        OnnxModel(toy().train(toy.dataset()).export(), "answers")


def test_rows_computed_at_once_or_apart_are_the_same(toy: Any) -> None:
    data = toy.dataset()
    exported = OnnxModel(toy().train(data).export(), toy.output)
    apart = np.concatenate([exported.compute(data.X[:1]), exported.compute(data.X[1:70])])
    assert np.array_equal(exported.compute(data.X[:70]), apart)

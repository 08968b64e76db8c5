"""The public names of the library: a change of what stands here needs a new minor version, after a deprecation."""

import inspect
import json
import re
import subprocess
import sys

import pytest

import mlapi

from rig.sample import ROOT

PARAMETERS = {
    "Classifier": "hyperparameters=None",
    "Dataset": "X, y, source",
    "Features": "",
    "Hyperparameters": "*, seed=0",
    "Regressor": "hyperparameters=None",
    "Service": "model, settings",
    "category": "*, example, optional=False",
    "number": "*, example, low, high, unit, optional=False",
    "text": "*, example, min_length, max_length",
}
OTHERS = {"Settings", "__version__"}


def test_the_public_names_are_these_and_no_others() -> None:
    assert set(mlapi.__all__) == PARAMETERS.keys() | OTHERS
    assert set(mlapi.__all__) <= set(dir(mlapi))


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_parameters_of_a_public_name_are_these(name: str) -> None:
    parameters = inspect.signature(getattr(mlapi, name)).parameters.values()
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    assert str(inspect.Signature(bare)) == f"({PARAMETERS[name]})"


@pytest.mark.parametrize("name", sorted(PARAMETERS.keys() | {"Settings"}))
def test_a_public_name_is_explained(name: str) -> None:
    assert inspect.getdoc(getattr(mlapi, name))


def test_the_handbook_names_them() -> None:
    page = (ROOT / "docs" / "public-names.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == sorted(mlapi.__all__)


def test_another_name_is_none_of_the_library() -> None:
    with pytest.raises(AttributeError, match="module 'mlapi' has no attribute 'Model'"):
        mlapi.Model  # type: ignore[attr-defined]  # noqa: B018


def test_a_name_is_loaded_when_it_is_first_used() -> None:
    program = "import json, sys, mlapi\nprint(json.dumps([*sys.modules]))\nassert mlapi.Settings is mlapi.Settings\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"mlapi", "json"} <= set(json.loads(done.stdout))
    assert {"fastapi", "numpy", "pydantic", "mlapi.settings"} & set(json.loads(done.stdout)) == set()

import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sample.ml import Model
from sample.settings import Settings

from mlapi.api.docs import STATIC


def operations(app: FastAPI) -> list[tuple[str, str, dict[str, Any]]]:
    paths = app.openapi()["paths"]
    return [(method, path, operation) for path, item in paths.items() for method, operation in item.items()]


def test_the_document_is_openapi_3_1_and_names_the_service(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == Settings().about.name


def test_every_reference_leads_somewhere(app: FastAPI) -> None:
    document = app.openapi()
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names
    assert names <= set(document["components"]["schemas"])


def test_every_operation_describes_itself_and_its_problems(app: FastAPI) -> None:
    for method, path, operation in operations(app):
        assert operation["description"].startswith(operation["summary"]), (method, path)
        for status, response in operation["responses"].items():
            assert response["description"], (method, path, status)
            if int(status) >= 400:
                assert set(response["content"]) == {"application/problem+json"}, (method, path, status)


def test_the_schema_of_a_row_follows_from_the_features(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    assert schemas[Model.Features.__name__] == Model.Features.model_json_schema()
    arrays, objects = schemas["PredictRequest"]["properties"]["data"]["oneOf"]
    assert [value["description"] for value in arrays["items"]["prefixItems"]] == [
        value["description"] for value in Model.Features.model_json_schema()["properties"].values()
    ]
    assert objects["items"]["$ref"].endswith(Model.Features.__name__)


def test_every_example_of_a_request_works(app: FastAPI, client: TestClient) -> None:
    tried = 0
    for method, path, operation in operations(app):
        if path != "/predict":
            continue
        for example in operation["requestBody"]["content"]["application/json"]["examples"].values():
            answer = client.request(method, path, json=example["value"])
            assert answer.status_code == 200
            assert set(answer.json()) == set(app.openapi()["components"]["schemas"]["Prediction"]["properties"])
            tried += 1
    assert tried == 2


def test_the_documentation_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "http" not in page
    assert '"validatorUrl": null' in page
    assert "//" not in page.replace("<!-- ", "")


@pytest.mark.parametrize("name", ["swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"])
def test_the_pages_assets_are_served(client: TestClient, name: str) -> None:
    assert client.get(f"/static/{name}").content == (STATIC / name).read_bytes()

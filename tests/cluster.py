"""As much of the API of Kubernetes as kubectl asks for to create and apply things, on this machine.

It checks each thing against the schemas of Kubernetes, wants its namespace to be there, and keeps it. It runs nothing.
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import kubernetes_validate

KINDS = {
    "v1": {
        "configmaps": "ConfigMap",
        "namespaces": "Namespace",
        "persistentvolumeclaims": "PersistentVolumeClaim",
        "secrets": "Secret",
        "serviceaccounts": "ServiceAccount",
        "services": "Service",
    },
    "apps/v1": {"deployments": "Deployment"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "networking.k8s.io/v1": {"ingresses": "Ingress", "networkpolicies": "NetworkPolicy"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
}
WITHOUT_NAMESPACE = {"namespaces"}
VERBS = ["get", "create", "patch"]
THING = re.compile(
    r"/apis?/(?P<version>v1|[\w.]+/v\d)(/namespaces/(?P<namespace>[^/]+))?/(?P<plural>\w+)(/(?P<name>[^/]+))?"
)


class RefusedError(Exception):
    """The cluster does not take what it was sent."""

    def __init__(self, code: int, reason: str, message: str = "") -> None:
        super().__init__(message)
        self.code, self.reason = code, reason


class Cluster:
    """The things that were made, by their namespace, kind and name."""

    def __init__(self) -> None:
        self.things: dict[tuple[str, str, str], dict[str, Any]] = {}

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Mapping[str, Any]]:
        """Answer a request: what the server knows, or a thing that is asked for, made or changed."""
        if path in DISCOVERY:
            return 200, DISCOVERY[path]
        found = THING.fullmatch(path)
        if found is None:
            raise RefusedError(404, "NotFound", path)
        version, plural, namespace = found["version"], found["plural"], found["namespace"] or ""
        kind = KINDS[version][plural]
        if method == "GET":
            thing = self.things.get((namespace, kind, found["name"]))
            if thing is None:
                raise RefusedError(404, "NotFound", path)
            return 200, thing
        if method == "PATCH":  # of what is there already: kubectl notes what it applied
            changed = self.things[namespace, kind, found["name"]]
            changed["metadata"].setdefault("annotations", {}).update(json.loads(body)["metadata"]["annotations"])
            return 200, changed
        made = decoded(body)
        self.check(made, namespace)
        self.things[namespace, kind, made["metadata"]["name"]] = made
        return 201, made

    def check(self, made: dict[str, Any], namespace: str) -> None:
        """Refuse a thing that is not what Kubernetes takes, or whose namespace is not there."""
        if namespace and ("", "Namespace", namespace) not in self.things:
            raise RefusedError(404, "NotFound", f"there is no namespace {namespace}")
        try:
            kubernetes_validate.validate(made, "1.32", strict=True)
        except kubernetes_validate.ValidationError as error:
            raise RefusedError(422, "Invalid", str(error)) from None


def decoded(body: bytes) -> dict[str, Any]:
    """Return the thing that a request holds: JSON, or for some commands the wire format of Kubernetes."""
    if not body.startswith(b"k8s\0"):
        thing: dict[str, Any] = json.loads(body)
        return thing
    about, content = (dict(fields(part)) for number, part in fields(body[4:]) if number <= 2)
    thing = {"apiVersion": about[1].decode(), "kind": about[2].decode()}
    metadata = dict(fields(content[1]))
    thing["metadata"] = {"name": metadata[1].decode()}
    if thing["kind"] == "Secret":
        thing["type"] = content.get(3, b"Opaque").decode()
    return thing


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Read the fields of a message of protocol buffers; all that are met here are texts or messages."""
    place = 0

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(message):
        key = number()
        length = number()
        if key & 7 == 2:
            yield key >> 3, message[place : place + length]
            place += length


def discovered() -> dict[str, Mapping[str, Any]]:
    """Return what kubectl learns of the server: its groups, its kinds, and that it checks fields itself."""
    groups = [version for version in KINDS if "/" in version]
    known: dict[str, Mapping[str, Any]] = {
        "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(version) for version in groups]},
    }
    described = {}
    for version, kinds in KINDS.items():
        root = "/api/v1" if version == "v1" else f"/apis/{version}"
        resources = [
            {"name": plural, "kind": kind, "namespaced": plural not in WITHOUT_NAMESPACE, "verbs": VERBS}
            for plural, kind in kinds.items()
        ]
        known[root] = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
        described[root[1:]] = {"serverRelativeURL": f"/openapi/v3{root}"}
        name, _, number = version.rpartition("/")
        known[f"/openapi/v3{root}"] = {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": "v1.32.0"},
            "paths": {
                f"{root}/{plural}": {
                    "patch": {
                        "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
                        "responses": {},
                        "x-kubernetes-group-version-kind": {"group": name, "kind": kind, "version": number},
                    }
                }
                for plural, kind in kinds.items()
            },
        }
    known["/openapi/v3"] = {"paths": described}
    return known


def group(version: str) -> dict[str, Any]:
    one = {"groupVersion": version, "version": version.partition("/")[2]}
    return {"name": version.partition("/")[0], "versions": [one], "preferredVersion": one}


DISCOVERY = discovered()


@contextmanager
def taking_what_kubectl_sends() -> Iterator[tuple[Cluster, dict[str, Any]]]:
    """Run the server until the block ends; yield what it keeps, and a configuration that leads kubectl to it."""
    cluster = Cluster()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                code, answer = cluster.answer(self.command, self.path.partition("?")[0], body)
            except RefusedError as refused:
                code, status = refused.code, {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
                answer = status | {"reason": refused.reason, "code": code, "message": str(refused)}
            content = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = handle_any  # noqa: N815 - their names

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = {"name": "here"}
        try:
            yield (
                cluster,
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "here",
                    "clusters": [here | {"cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
                    "contexts": [here | {"context": {"cluster": "here", "user": "here"}}],
                    "users": [here | {"user": {}}],
                },
            )
        finally:
            server.shutdown()

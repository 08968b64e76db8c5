"""An issuer of tokens, for the tests: on this machine, with keys of its own."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Server(ThreadingHTTPServer):
    """An issuer on this machine."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[str] = []
        self.answers: dict[str, bytes] = {}
        self.status = 200
        self.publish({"rsa": RSA})

    def publish(self, keys: dict[str, Any], **changes: Any) -> None:
        described = [public(key, kid) for kid, key in keys.items()]
        about = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"} | changes
        self.answers["/.well-known/openid-configuration"] = json.dumps(about).encode()
        self.answers["/keys"] = json.dumps({"keys": described}).encode()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("Location", f"{self.server.url}/elsewhere")
        self.end_headers()
        self.wfile.write(self.server.answers.get(self.path, b""))

    def log_message(self, *_: object) -> None:
        pass


def public(key: Any, kid: str) -> dict[str, Any]:
    algorithms: dict[type, Any] = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    algorithm = next(found for kind, found in algorithms.items() if isinstance(key, kind))
    described: dict[str, Any] = algorithm.to_jwk(key.public_key(), as_dict=True)
    return described | {"kid": kid, "use": "sig"}


def raw(header: dict[str, Any], payload: Any, secret: bytes = b"") -> str:
    """Return a token as no library would write it, signed with HMAC if there is a secret."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, payload)]
    signed = b".".join(parts)
    signature = hmac.digest(secret, signed, hashlib.sha256) if secret else b""
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@contextmanager
def issuing() -> Iterator[Server]:
    """Run an issuer with one key until the block ends."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()

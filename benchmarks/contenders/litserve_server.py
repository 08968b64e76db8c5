"""LitServe as its quick start has it: a LitAPI and a server; the argument is the port."""

import os
import sys
from typing import Any

import joblib
import litserve


class Iris(litserve.LitAPI):
    """Predicts classes."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - there is one device
        """Load the model."""
        self.estimator = joblib.load(os.environ["MODEL"])

    def decode_request(self, request):  # noqa: ANN001, ANN201 - the library takes an annotation for a parameter's type
        """Return the rows of a request."""
        return request["data"]

    def predict(self, x: Any) -> Any:
        """Return the class of each row."""
        return self.estimator.predict(x)

    def encode_response(self, output: Any) -> Any:
        """Return what is answered."""
        return {"prediction": output.tolist()}


if __name__ == "__main__":
    litserve.LitServer(Iris(), accelerator="cpu").run(
        port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False
    )

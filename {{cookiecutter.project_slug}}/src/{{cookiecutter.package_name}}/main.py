"""The ASGI application: `uvicorn <package>.main:app --ssl-certfile cert.pem --ssl-keyfile key.pem`."""

from .api.app import create_app
from .settings import Settings

app = create_app(Settings())

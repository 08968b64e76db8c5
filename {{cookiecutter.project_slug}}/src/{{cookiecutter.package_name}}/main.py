"""The ASGI application: `uvicorn <package>.main:app --ssl-certfile cert.pem --ssl-keyfile key.pem`."""

from .loading import loading

with loading():
    from .api.app import create_app
    from .server import end_with_parent
    from .settings import Settings

    end_with_parent()
    app = create_app(Settings())

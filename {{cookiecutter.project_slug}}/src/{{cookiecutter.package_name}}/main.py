"""The ASGI application: `uvicorn <package>.main:app --ssl-certfile cert.pem --ssl-keyfile key.pem`."""

import gc

from .loading import loading

NEW_OBJECTS = 10_000
"""More objects than before after which Python looks for garbage. A large request makes as many, and leaves none."""

with loading():
    from .api.app import create_app
    from .ml import Model
    from .server import end_with_parent
    from .settings import Settings

    end_with_parent()
    app = create_app(Model, Settings())

# Your own routes, mounts and websockets go here. They need a credential unless create_app is told: public={"/status"}.

gc.set_threshold(NEW_OBJECTS)

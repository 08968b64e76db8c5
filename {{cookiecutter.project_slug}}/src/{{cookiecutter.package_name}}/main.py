"""The service as an ASGI application: `uvicorn <package>.main:app --ssl-certfile cert.pem --ssl-keyfile key.pem`."""

from mlapi import Service

from .ml import Model
from .settings import Settings

service = Service(Model, Settings())

app = service.create_app()  # a FastAPI application with keys, limits, problems, /health, /metrics and /docs
app.include_router(service.predictions)  # POST /predict, POST /predict/csv
app.include_router(service.training)  # POST /train
app.include_router(service.jobs)  # GET /jobs, GET /jobs/{id}, POST /jobs/{id}/cancel
app.include_router(service.batches)  # POST /batches, GET /jobs/{id}/result, GET /jobs/{id}/rejects
app.include_router(service.models)  # GET /models, POST /models/{version}/promote, GET and PUT /traffic, ...

# Your own routes, routers, mounts and middleware go below, as in any FastAPI application. Routes and mounts need a
# credential, unless create_app is told: public={"/status"}. Middleware runs before that is checked.

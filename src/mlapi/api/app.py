"""The application factory: settings in, ASGI application out."""

import asyncio
import gc
import json
import logging
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter
from fastapi import APIRouter, FastAPI
from fastapi.encoders import jsonable_encoder
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic.json_schema import models_json_schema
from starlette.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from ..errors import BadInput, BadRequest, HeadTooLarge, RequestTimeout, ServiceError, Unavailable
from ..jobs.store import Jobs
from ..keys import KeyStore
from ..logs import AccessLog
from ..ml.base import SupervisedModel
from ..monitoring.drift import Tallies
from ..monitoring.metrics import Metrics
from ..serving.cache import answer_cache
from ..serving.champion import Champion
from ..serving.microbatch import MicroBatcher
from ..serving.prediction import Predictor
from ..serving.registry import Registry
from ..serving.shadow import Shadow
from ..settings import Settings
from . import auth, batches, docs, health, metrics, problems
from .compression import Compression
from .dependencies import Services
from .direct import Routes, Shortcut, direct_routes
from .drain import Drain, end_with_parent
from .envelope import Envelope
from .limits import Limits
from .schemas import predict_request

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from opentelemetry.sdk.trace import TracerProvider

    from ..tokens import Issuer
    from .quota import Quotas

LARGE_AT_ONCE = 2
"""Large requests that a process computes at once: one uses the processor while another is read or written."""
MEASURE_SECONDS = 10.0
"""Time between two looks at what this process uses, in seconds."""

REFERENCE = re.compile(r'"#/components/schemas/([^"]+)"')
"""A reference to a schema, in JSON."""
NEW_OBJECTS = 10_000
"""More objects than before after which Python looks for garbage. A large request makes as many, and leaves none."""

log = logging.getLogger(__name__)


GUARDED = {str(status): answer for status, answer in problems.documented(*auth.ERRORS).items()}
"""What every operation may answer that asks who calls."""


class Application(FastAPI):
    """An application whose OpenAPI document also holds the models that are read and written beside FastAPI."""

    services: Services
    """What stands behind the endpoints."""
    traces: "TracerProvider | None"
    """What makes traces, if any are made."""
    public: auth.Allowlist
    """Paths that need no credential."""
    access_log: AccessLog | None = None
    """What writes a line for each request, if anything does."""
    _described: dict[str, Any] | None = None

    def __init__(self, **options: Any) -> None:
        """Take FastAPI's options."""
        super().__init__(**options)
        self.direct: Routes = {}
        """Routes that are answered directly."""
        self.basic = 0
        """Number of the routes that every service has."""

    def include_router(self, router: APIRouter, **options: Any) -> None:
        """Include a router as FastAPI does; its direct routes are answered directly if none was added before them."""
        is_first = len(self.router.routes) == self.basic
        super().include_router(router, **options)
        if is_first and not (options.get("dependencies") or router.dependencies or self.router.dependencies):
            self.direct |= direct_routes(router.routes, options.get("prefix", ""))

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, made anew when routes have been added."""
        made = super().openapi()
        if made is not self._described:
            self._describe(made)
            self._described = made
        return made

    def _describe(self, document: dict[str, Any]) -> None:
        """Complete the document that FastAPI has made of the routes."""
        document["components"]["schemas"] |= _referred(document["paths"], _components(self.services))
        document["components"]["securitySchemes"] = jsonable_encoder(
            {name: scheme.model for name, scheme in auth.SCHEMES.items()}, by_alias=True, exclude_none=True
        )
        asking = self._asking()
        for path, item in document["paths"].items():
            for method, operation in item.items():
                # The name of a function says less than what it does.
                if "description" in operation:
                    operation["summary"] = operation["description"].partition(".")[0]
                if path not in self.public or (path, method.upper()) in asking:
                    operation["security"] = [{name: []} for name in auth.SCHEMES]
                    operation["responses"] = GUARDED | operation["responses"]

    def _asking(self) -> set[tuple[str | None, str]]:
        """Return the paths and methods that ask for a credential themselves, even where the path is open."""
        return {
            (route.path_format, method)
            for route in iter_route_contexts(self.routes)
            if isinstance(route.original_route, APIRoute) and auth.asks_who_calls(route.dependant)
            for method in route.methods or ()
        }


def create_app(model: type[SupervisedModel], settings: Settings, public: Iterable[str] = ()) -> Application:
    """Return the application of a service, with what all have and no more; see `Service.create_app`.

    Raises:
        ValueError: one of `public` is no path.

    """
    registry = Registry.of(model, settings)
    tallies = Tallies(settings.data_dir / "drift", settings.drift_days)
    champion = Champion(model, registry, settings.max_model_bytes, tallies)
    measured = Metrics(champion.drift)
    shadow = Shadow(measured)
    predictor = Predictor(champion, shadow, measured)
    services = Services(
        model=model,
        settings=settings,
        registry=registry,
        champion=champion,
        metrics=measured,
        cache=answer_cache(url.get_secret_value(), settings.cache_seconds) if (url := settings.cache_url) else None,
        shadow=shadow,
        predictor=predictor,
        batcher=MicroBatcher(predictor.predict),
        jobs=Jobs(settings),
        keys=KeyStore(settings.keys_path),
        drain=Drain(settings.drain_seconds),
        issuer=_issuer(settings),
        quotas=_quotas(settings, measured),
        large=CapacityLimiter(LARGE_AT_ONCE),
        needs_key=settings.needs_key,
    )
    traces, telemetry = _traces(settings)
    about = settings.about
    told = problems.Problems(about.documentation)
    app = Application(
        title=about.name,
        summary=about.description,
        version=about.version,
        contact={"name": about.author, "url": about.repository},
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry=telemetry,
        redirect_slashes=False,  # the redirect would name whatever host the caller names
        generate_unique_id_function=lambda route: route.name,
        responses=problems.documented(BadRequest, RequestTimeout, HeadTooLarge, ServiceError, Unavailable),
    )
    app.services = services
    app.traces = traces
    if traces is None:  # FastAPI tells a trace the route where its router finds it
        app.add_middleware(Shortcut, routes=app.direct)
    app.add_middleware(
        Limits,
        max_requests=settings.max_concurrent_requests,
        max_bytes=settings.max_body_bytes,
        max_bytes_at={"/batches": settings.max_upload_bytes},
        problems=told,
    )
    _wrap(app, settings, services.metrics)
    problems.install(app, told)
    for router in (health.router, metrics.router, docs.router):  # probes first, before FastAPI prepares the others
        app.include_router(router)
    docs.install(app)
    app.basic = len(app.router.routes)
    app.public = auth.Allowlist([*auth.OPEN, *public])
    app.router.middleware_stack = auth.Guard(app.router.middleware_stack, services, app.public)
    return app


def _traces(settings: Settings) -> "tuple[TracerProvider | None, TelemetryConfig]":
    """Return what makes traces, if any are to be made, and what FastAPI is told; the library is loaded for it alone."""
    if settings.otlp_url is None:
        return None, {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
    try:
        from .tracing import telemetry, tracer_provider
    except ModuleNotFoundError as error:
        raise BadInput(f"Traces need {error.name}, which is not installed here: install the group telemetry.") from None
    provider = tracer_provider(settings.about, str(settings.otlp_url), settings.trace_share)
    return provider, telemetry(provider)


def _issuer(settings: Settings) -> "Issuer | None":
    """Return the issuer of tokens, if there is one; its library is loaded for it alone."""
    if settings.oidc_issuer is None:
        return None
    from ..tokens import Issuer

    return Issuer(settings)


def _quotas(settings: Settings, measured: Metrics) -> "Quotas | None":
    """Return what counts requests, if any are to be counted; its library is loaded for it alone."""
    if not settings.needs_key or not (settings.rate_limit or settings.quota):
        return None
    from .quota import Quotas

    return Quotas(settings, measured.uncounted.inc)


def _wrap(app: Application, settings: Settings, metrics: Metrics) -> None:
    """Put around the application what concerns every answer; the last added is the outermost."""
    app.add_middleware(Compression, over_bytes=settings.compress_over_bytes)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["DELETE", "GET", "HEAD", "POST", "PUT"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "If-None-Match",
                "If-Range",
                "Range",
                "X-API-Key",
            ],
            expose_headers=[
                "Content-Range",
                "ETag",
                "Location",
                "RateLimit",
                "RateLimit-Policy",
                "Retry-After",
                "X-Request-ID",
            ],
        )
    if settings.access_log and settings.log_level in {"debug", "info"}:
        app.access_log = AccessLog(metrics.unlogged.inc, as_json=settings.log_format == "json")
    app.add_middleware(Envelope, settings=settings, metrics=metrics, log=app.access_log)
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.trusted_proxies))


@asynccontextmanager
async def _lifespan(app: Application) -> AsyncIterator[None]:
    """Load the champion, then follow it for as long as the application runs."""
    end_with_parent()
    gc.set_threshold(NEW_OBJECTS)
    services = app.services
    services.drain.install()
    if not services.settings.needs_key:
        log.warning("no credential is asked for: every program on this machine may call, and no other machine")
    services.champion.refresh()
    followers = [
        asyncio.create_task(services.champion.follow(services.settings.refresh_seconds)),
        asyncio.create_task(_measure(services)),
    ]
    try:
        yield
    finally:
        for follower in followers:
            follower.cancel()
            with suppress(asyncio.CancelledError):
                await follower
        services.shadow.close()
        services.champion.flush()
        if services.cache is not None:
            await services.cache.close()
        services.jobs.close()
        if services.quotas is not None:
            await services.quotas.close()
        if app.access_log is not None:
            await app.access_log.close()
        if app.traces is not None:
            await asyncio.to_thread(app.traces.shutdown)  # which sends what is left


async def _measure(services: Services) -> None:
    """Note what this process uses, for whichever process is asked for the metrics of all."""
    while True:
        services.metrics.process(services.champion.served.version if services.champion.served else None)
        await asyncio.sleep(MEASURE_SECONDS)


def _referred(paths: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return those of some schemas that paths, or other such schemas, refer to."""
    found: dict[str, Any] = {}
    waiting = set(REFERENCE.findall(json.dumps(paths)))
    while names := waiting & schemas.keys() - found.keys():
        found |= {name: schemas[name] for name in names}
        waiting = set(REFERENCE.findall(json.dumps([schemas[name] for name in names])))
    return {name: schema for name, schema in schemas.items() if name in found}


def _components(services: Services) -> dict[str, Any]:
    """Return the JSON Schemas of what the endpoints read themselves and of the problems that a handler writes."""
    model, max_rows = services.model, services.settings.max_rows
    models: list[Any] = [
        (predict_request(model.Features, max_rows), "validation"),
        (model.Hyperparameters, "validation"),
        (batches.Source, "validation"),
        (problems.Problem, "serialization"),
    ]
    schemas: dict[str, Any] = models_json_schema(models, ref_template="#/components/schemas/{model}")[1]["$defs"]
    kind = problems.Problems(services.settings.about.documentation).type_of("invalid-input")
    schemas["Problem"]["properties"]["type"]["examples"] = [kind]
    return schemas

"""Every setting of the service, read from the environment or a `.env` file.

The name of a variable is the package's name in capitals, an underscore and the setting's name in capitals. Settings are
read once, when a process starts, and never change after that.
"""

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from dotenv import dotenv_values
from pydantic import Field, HttpUrl, ValidationError, model_validator
from pydantic_settings import BaseSettings, SecretsSettingsSource, SettingsConfigDict

from . import values
from .about import About, about_of


class Settings(BaseSettings):
    """Settings of a service. Each has a default that is safe on one machine."""

    model_config = SettingsConfigDict(
        env_file=".env",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    package: ClassVar[str]
    """Name of the service's package: of the one that this class, or the first subclass outside of here, stands in."""
    prefix: ClassVar[str]
    """Beginning of the name of every variable: the package's name in capitals, and an underscore."""

    host: values.Host = "127.0.0.1"
    """Address to listen on. Any address other than loopback needs API keys (see `keys create`)."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8443
    """TCP port to listen on; 0 takes a free one."""

    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Number of serving processes."""

    tls_certfile: Path | None = None
    """PEM file of the certificate chain. By default a self-signed one for localhost is made and kept in `data_dir`."""

    tls_keyfile: Path | None = None
    """PEM file of the certificate's private key."""

    tls_client_ca_file: Path | None = None
    """PEM file of the authorities whose certificates clients must show. By default clients need none."""

    require_key: bool = False
    """Ask for an API key on loopback too, as is right behind a reverse proxy on the same machine."""

    oidc_issuer: values.Issuer | None = None
    """Address of an OpenID Connect issuer, https; its tokens are good as `Authorization: Bearer` beside API keys."""

    oidc_audience: str | None = None
    """What a token must name as its audience: the name by which the issuer knows this service."""

    oidc_scope_claim: str = "scope"
    """Claim of a token that says what its bearer may do; dots lead into objects, as in `realm_access.roles`."""

    oidc_scopes: values.Scopes = {}
    """What values of that claim mean, as JSON: `{"data-team": "train"}`. Empty: they are scopes by name."""

    rate_limit: values.Rate = "100/second"
    """Requests that a caller with a credential may send: a number per second, minute, hour or day, or `none`."""

    quota: values.Rate = None
    """Requests that such a caller may send in a longer time, such as `1000000/day`. By default any number."""

    rate_limit_url: values.CounterUrl | None = None
    """Redis that counts requests: `redis://:password@host:6379/0`. By default each serving process counts its own."""

    allowed_hosts: values.Names = ()
    """Host names that callers may use, with commas: `api.example.com, *.example.org`. By default any."""

    trusted_proxies: values.Networks = ()
    """Addresses or networks of proxies whose X-Forwarded-For and -Proto are believed. Every caller needs a key then."""

    cors_origins: values.Origins = ()
    """Web pages that may call from a browser: `https://app.example.com`, with commas. By default none."""

    hsts_seconds: Annotated[int, Field(ge=0)] = 365 * 24 * 3600
    """Seconds for which browsers are told to call by HTTPS alone (HSTS); 0 tells them nothing."""

    compress_over_bytes: Annotated[int, Field(gt=0)] = 64 * 1024
    """Bytes from which an answer is compressed, for callers that accept gzip."""

    log_format: Literal["text", "json"] = "text"
    """How lines of the log are written: for people, or one JSON object each for programs."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are logged."""

    access_log: bool = True
    """Log a line for each request: never its query, its body or its answer."""

    otlp_url: HttpUrl | None = None
    """Collector that traces of requests go to, by OTLP over HTTP: `http://collector:4318`. By default none."""

    trace_share: Annotated[float, Field(ge=0, le=1)] = 1
    """Share of the requests that are traced, 0 to 1; a caller that traces decides for its own."""

    models_dir: Path = Path("models")
    """Directory of the model registry."""

    data_dir: Path = Path("var")
    """Directory of everything else that is kept: jobs, API keys, downloads, the self-signed certificate."""

    keys_file: Path | None = None
    """File of the API keys. By default `keys.json` in `data_dir`."""

    secrets_dir: values.SecretsDir = values.SECRETS_DIR
    """Directory of files that hold one setting each and are named like its variable; set in the environment alone."""

    database_url: values.DatabaseUrl | None = None
    """Database of the jobs, such as `postgresql://user:password@host/name`. By default SQLite in `data_dir`."""

    storage_url: values.StorageUrl | None = None
    """Where files to score and their results are: `file:///path` or `s3://bucket/folder`. By default in `data_dir`."""

    cluster_url: values.ClusterUrl | None = None
    """Scheduler of a Dask cluster to work on, such as `tcp://scheduler:8786`. By default this machine works alone."""

    score_jobs: Annotated[int, Field(ge=1, le=64)] = 2
    """Files that a worker scores at once."""

    max_upload_bytes: Annotated[int, Field(gt=0)] = 10 * 2**30
    """Bytes of the largest file that is taken to be scored."""

    max_rejects: Annotated[int, Field(ge=0)] = 10_000
    """Rows that cannot be scored of which line and reason are kept, for each file; all of them are counted."""

    keep_results_seconds: Annotated[float, Field(gt=0, le=values.LONGEST_SECONDS)] = 7 * 24 * 3600
    """Seconds after the end of a job for which its upload and its result are kept."""

    dataset_url: HttpUrl | None = None
    """Where to download the training data: an archive (.zip, .tar.gz, .gz, .xz) of one CSV file; else the bundled."""

    dataset_sha256: values.Sha256 | None = None
    """SHA-256 of that archive, 64 hexadecimal digits; the download is refused if it differs."""

    promote: Literal["always", "better", "never"] = "better"
    """Which newly trained versions serve: all, those that are not worse than the champion, or none by themselves."""

    promote_tolerance: Annotated[float, Field(ge=0, le=1)] = 0.01
    """How much worse than the champion's score (0 to 1) a new version may be and still serve under `better`."""

    train_schedule: values.Schedule | None = None
    """When to train again, as a cron expression in UTC: `0 3 * * 1` is each Monday at 3. By default never by itself."""

    train_timeout_seconds: Annotated[float, Field(gt=0)] = 3600
    """Seconds after which a training is ended and counts as failed."""

    mlflow_url: values.WebUrl | None = None
    """MLflow server to record trainings with, such as `https://user:password@mlflow.example.com`. By default none."""

    mlflow_timeout_seconds: Annotated[float, Field(gt=0)] = 60
    """Seconds after which recording a training is given up; the new version is published all the same."""

    worker_metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """TCP port at `host` on which a worker tells its metrics, over HTTPS; 0 takes a free one. By default none."""

    refresh_seconds: Annotated[float, Field(gt=0, le=60)] = 0.5
    """Seconds between two looks at the registry for a new champion."""

    cache_url: values.CacheUrl | None = None
    """Where to keep answers, to give them again: `memory://` or `redis://:password@host/0`. By default nowhere."""

    cache_seconds: Annotated[float, Field(gt=0, le=86_400 * 30)] = 300
    """Seconds that an answer is kept."""

    drift_days: Annotated[int, Field(ge=1, le=365)] = 7
    """Days of predictions that are compared with the training, today being one of them; older counts are removed."""

    max_model_bytes: Annotated[int, Field(gt=0)] = 512 * 2**20
    """Bytes of the largest model file that a serving process loads."""

    allow_pickle: bool = False
    """Serve versions that cannot be exported, by joblib: loading one runs whatever code its file holds."""

    max_body_bytes: Annotated[int, Field(gt=0)] = 10 * 2**20
    """Bytes of the largest request body that is read."""

    max_rows: Annotated[int, Field(gt=0)] = 10_000
    """Rows of the largest request that is answered."""

    max_concurrent_requests: Annotated[int, Field(gt=0)] = 500
    """Requests that one serving process answers at once; those beyond it get 503 and are to come again."""

    max_connections: Annotated[int, Field(gt=0)] = 1000
    """Connections that one serving process holds; at the limit an idle one is ended, or else the new one refused."""

    max_header_bytes: Annotated[int, Field(ge=1024, le=2**20)] = 16 * 2**10
    """Bytes of the largest request line with its headers."""

    handshake_seconds: Annotated[float, Field(gt=0)] = 10
    """Seconds that a client may take for the TLS handshake."""

    header_seconds: Annotated[float, Field(gt=0)] = 10
    """Seconds that a client may take for the request line and headers, also of its first request."""

    body_seconds: Annotated[float, Field(gt=0)] = 20
    """Seconds that a client may take for a body, and one more for each `min_bytes_per_second` that arrive."""

    min_bytes_per_second: Annotated[float, Field(gt=0)] = 4096
    """Bytes per second that a client must send at least when its body takes longer than `body_seconds`."""

    send_seconds: Annotated[float, Field(gt=0)] = 30
    """Seconds that a client may take no part of an answer, or take for the rest of one on a connection that ends."""

    idle_seconds: Annotated[float, Field(gt=0)] = 75
    """Seconds that a connection may wait for its next request."""

    drain_seconds: Annotated[float, Field(ge=0, le=3600)] = 0
    """Seconds from SIGTERM to the end of listening; meanwhile it answers, but is not ready. For load balancers."""

    shutdown_seconds: Annotated[float, Field(gt=0)] = 20
    """Seconds that requests in flight may take to finish once the service is to stop."""

    min_free_bytes: Annotated[int, Field(ge=0)] = 100 * 2**20
    """Bytes that must be free on the disks of `models_dir` and `data_dir` for a new job to be taken."""

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Name the variables of a subclass after the package that it stands in, unless its base has one already."""
        super().__pydantic_init_subclass__(**options)
        _belong_to_its_package(cls)

    @model_validator(mode="after")
    def _pairs_are_whole(self) -> "Settings":
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError("oidc_issuer and oidc_audience go together: set both or none")
        if (self.dataset_url is None) != (self.dataset_sha256 is None):
            raise ValueError("dataset_url and dataset_sha256 go together: set both or none")
        if (self.tls_certfile is None) != (self.tls_keyfile is None):
            raise ValueError("tls_certfile and tls_keyfile go together: set both or none")
        return self

    @classmethod
    def settings_customise_sources(cls, settings_cls: type[BaseSettings], *given: Any, **sources: Any) -> Any:
        """Read the files of secrets as well, where there are any; what is set otherwise goes before them."""
        del sources["file_secret_settings"]
        directory, secrets = _secrets(cls.prefix)
        values.check_text(secrets)  # the library would not say which of them it could not read
        files = [SecretsSettingsSource(settings_cls, directory)] if secrets else []
        return (*given, *sources.values(), *files)

    @model_validator(mode="before")
    @classmethod
    def _names_are_known(cls, given_values: Any) -> Any:
        """Refuse a variable that looks like a setting and is none: a protection with a typo would be off."""
        names = (*os.environ, *dotenv_values(".env"), *(path.name for path in _secrets(cls.prefix)[1]))
        values.check_names(names, cls.model_fields, cls.prefix)
        return given_values

    @property
    def about(self) -> About:
        """The name of the service, its owner and its addresses."""
        return about_of(self.package)

    @property
    def is_public(self) -> bool:
        """Whether other machines can reach the address to listen on."""
        return not values.is_loopback(self.host)

    @property
    def needs_key(self) -> bool:
        """Whether every caller needs a credential, also one on this machine."""
        return self.require_key or self.is_public or bool(self.oidc_issuer or self.trusted_proxies)

    @property
    def keys_path(self) -> Path:
        """The file of the API keys."""
        return self.keys_file or self.data_dir / "keys.json"

    def jobs_url(self) -> str:
        """Return the URL of the jobs' database, password included."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir.resolve() / 'jobs.sqlite'}"

    def files_url(self) -> str:
        """Return the URL under which the files of jobs are."""
        if self.storage_url is not None:
            return self.storage_url.get_secret_value()
        return (self.data_dir.resolve() / "files").as_uri()


def _belong_to_its_package(settings: type[Settings]) -> None:
    """Give a class of settings the name of its package, unless it has that of another one than this."""
    here, package = (name.partition(".")[0] for name in (__name__, settings.__module__))
    if getattr(settings, "package", here) == here:
        settings.package, settings.prefix = package, f"{package.upper()}_"
        settings.model_config["env_prefix"] = settings.prefix


_belong_to_its_package(Settings)


def _secrets(prefix: str) -> tuple[Path, list[Path]]:
    """Return the directory of secrets and all files in it that may hold a setting."""
    directory = Path(os.environ.get(f"{prefix}SECRETS_DIR", values.SECRETS_DIR))
    return directory, values.secrets_in(directory, prefix)


def describe(error: ValidationError, prefix: str) -> str:
    """Say in one line which settings are wrong and how, without their values."""
    said = [
        (fault["loc"], fault["msg"].removeprefix("Value error, "))  # the library's word for any fault that we name
        for fault in error.errors(include_input=False, include_url=False)
    ]
    return "; ".join(f"{prefix}{str(place[0]).upper()}: {message}" if place else message for place, message in said)

"""Every setting of the service, read from the environment or a `.env` file.

The name of a variable is the package's name in capitals, an underscore and the setting's name in capitals. Settings are
read once, when a process starts, and never change after that.
"""

import ipaddress
import os
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import Field, HttpUrl, SecretStr, StringConstraints, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = f"{(__package__ or '').partition('.')[0].upper()}_"
"""What the name of every variable begins with."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Settings(BaseSettings):
    """How this service runs. All of it has a default that is safe on one machine."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on. Any address other than loopback needs API keys (see `keys create`)."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8443
    """TCP port to listen on; 0 takes a free one."""

    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Number of serving processes."""

    tls_certfile: Path | None = None
    """PEM file of the certificate chain. By default a self-signed one for localhost is made and kept in `data_dir`."""

    tls_keyfile: Path | None = None
    """PEM file of the certificate's private key."""

    require_key: bool = False
    """Ask for an API key on loopback too, as is right behind a reverse proxy on the same machine."""

    models_dir: Path = Path("models")
    """Directory of the model registry."""

    data_dir: Path = Path("var")
    """Directory of everything else that is kept: jobs, API keys, downloads, the self-signed certificate."""

    database_url: SecretStr | None = None
    """Database of the jobs, such as `postgresql://user:password@host/name`. By default SQLite in `data_dir`."""

    dataset_url: HttpUrl | None = None
    """Where to download the training data: an archive (.zip, .tar.gz, .gz, .xz) of one CSV file; else the bundled."""

    dataset_sha256: Sha256 | None = None
    """SHA-256 of that archive, 64 hexadecimal digits; the download is refused if it differs."""

    promote: Literal["always", "better", "never"] = "better"
    """Which newly trained versions serve: all, those that are not worse than the champion, or none by themselves."""

    promote_tolerance: Annotated[float, Field(ge=0, le=1)] = 0.01
    """How much worse than the champion's score (0 to 1) a new version may be and still serve under `better`."""

    train_timeout_seconds: Annotated[float, Field(gt=0)] = 3600
    """Seconds after which a training is ended and counts as failed."""

    refresh_seconds: Annotated[float, Field(gt=0, le=60)] = 0.5
    """Seconds between two looks at the registry for a new champion."""

    max_model_bytes: Annotated[int, Field(gt=0)] = 512 * 2**20
    """Bytes of the largest model file that a serving process loads."""

    max_body_bytes: Annotated[int, Field(gt=0)] = 10 * 2**20
    """Bytes of the largest request body that is read."""

    max_rows: Annotated[int, Field(gt=0)] = 10_000
    """Rows of the largest request that is answered."""

    @model_validator(mode="after")
    def _pairs_are_whole(self) -> "Settings":
        if (self.dataset_url is None) != (self.dataset_sha256 is None):
            raise ValueError("dataset_url and dataset_sha256 go together: set both or none")
        if (self.tls_certfile is None) != (self.tls_keyfile is None):
            raise ValueError("tls_certfile and tls_keyfile go together: set both or none")
        return self

    @model_validator(mode="before")
    @classmethod
    def _names_are_known(cls, values: Any) -> Any:
        """Refuse a variable that looks like a setting and is none: a protection with a typo would be off."""
        given = {name.upper() for name in (*os.environ, *dotenv_values(".env")) if name.upper().startswith(PREFIX)}
        known = {f"{PREFIX}{name.upper()}" for name in cls.model_fields}
        for name in sorted(given - known):
            meant = get_close_matches(name, known, n=1)
            raise ValueError(f"there is no setting {name}{f'; did you mean {meant[0]}?' if meant else ''}")
        return values

    @field_validator("host")
    @classmethod
    def _host_is_given(cls, host: str) -> str:
        if not host.strip():
            raise ValueError("give an address; 0.0.0.0 listens on all of this machine's")
        return host.strip()

    @field_validator("database_url")
    @classmethod
    def _database_is_known(cls, url: SecretStr | None) -> SecretStr | None:
        if url and not url.get_secret_value().startswith(("postgresql://", "postgresql+psycopg://", "sqlite:///")):
            raise ValueError("must begin with postgresql:// or sqlite:///")
        return url

    @property
    def is_public(self) -> bool:
        """Whether other machines can reach the address to listen on."""
        return not is_loopback(self.host)

    @property
    def needs_key(self) -> bool:
        """Whether every caller needs an API key, also one on this machine."""
        return self.require_key or self.is_public

    def jobs_url(self) -> str:
        """Return the URL of the jobs' database, password included."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir.resolve() / 'jobs.sqlite'}"


def is_loopback(host: str) -> bool:
    """Tell whether an address or host name can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def describe(error: ValidationError) -> str:
    """Say in one line which settings are wrong and how, without their values."""
    return "; ".join(
        f"{PREFIX}{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}" if fault["loc"] else fault["msg"]
        for fault in error.errors(include_input=False, include_url=False)
    )

"""What may stand in a setting: kinds of values, each with what is wrong with one that is not of its kind."""

import ipaddress
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, StringConstraints
from pydantic_settings import NoDecode

from .keys import Scope

SECRETS_DIR = Path("/run/secrets")
"""Where engines that run containers put files of secrets."""

PLACEHOLDERS = frozenset({"password", "changeme", "change-me", "change_me", "placeholder", "your-password"})
"""Passwords that stand in examples, and so are none."""

CRON_FIELDS = 5
"""Fields of a cron expression: without seconds, which nobody trains by."""

LONGEST_SECONDS = 100 * 365 * 24 * 3600
"""A time that is as good as for ever, 100 years: of a much longer one the calendar holds no beginning."""

LIKENESS = 0.75
"""How much like a setting's name another must be, 0 to 1, to be taken for a slip of the pen."""


class Unreadable(Exception):
    """A file of settings is not text; the message says which."""


def secrets_in(directory: Path, prefix: str) -> list[Path]:
    """List the files of a directory that may hold a setting, the names of which begin with `prefix`."""
    try:
        return [path for path in directory.iterdir() if path.name.upper().startswith(prefix)]
    except OSError:
        return []


def check_text(paths: Iterable[Path]) -> None:
    """Raise `Unreadable` if one of these files is not UTF-8; one that cannot be read is the concern of who reads it."""
    for path in paths:
        try:
            path.read_bytes().decode()
        except UnicodeDecodeError:
            raise Unreadable(f"The file {path} is not UTF-8 text.") from None
        except OSError:
            continue


def check_names(given: Iterable[str], known: Iterable[str], prefix: str) -> None:
    """Refuse a variable that looks like a setting and is none: a protection with a typo would be off."""
    names = {name.upper() for name in known}
    ours = {name.upper().removeprefix(prefix) for name in given if name.upper().startswith(prefix)}
    for name in sorted(ours - names):
        # Without what all of them begin with, which would make any two alike.
        meant = get_close_matches(name, names, n=1, cutoff=LIKENESS)
        guess = f"; did you mean {prefix}{meant[0]}?" if meant else ""
        raise ValueError(f"there is no setting {prefix}{name}{guess}")


def is_loopback(host: str) -> bool:
    """Tell whether an address or host name can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def is_safe_url(url: str) -> bool:
    """Tell whether nobody between can change what this address answers: https, or http on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def _beginning(*beginnings: str) -> AfterValidator:
    """Return a check that a URL begins in one of these ways."""
    *all_but_last, last = beginnings
    wanted = f"{', '.join(all_but_last)} or {last}" if all_but_last else last

    def check(url: Any) -> Any:
        text = url.get_secret_value() if isinstance(url, SecretStr) else url
        if not text.startswith(beginnings):
            raise ValueError(f"must begin with {wanted}")
        _check_port(text)
        return url

    return AfterValidator(check)


def _check_port(url: str) -> None:
    """Refuse a port that is none, which libraries tell by a traceback, and only when they connect."""
    # As it is read, the password in a database's address may hold any sign but this one.
    without_password = re.sub(r"^(postgresql[^:]*://)[^@]*@", r"\1", url)
    try:
        urlsplit(without_password).port  # noqa: B018 - it is worked out when it is asked for
    except ValueError:  # which would repeat what may be a secret
        raise ValueError("the host or its port cannot be read; a port is a number up to 65535") from None


def _with_a_real_password(url: SecretStr) -> SecretStr:
    """Refuse a password that was never meant to be one, as in an example that was copied."""
    if (urlsplit(url.get_secret_value()).password or "").lower() in PLACEHOLDERS:
        raise ValueError("the password is a placeholder; choose a real one")
    return url


def _host(host: str) -> str:
    if not host.strip():
        raise ValueError("give an address; 0.0.0.0 listens on all of this machine's")
    return host.strip()


def _issuer(url: str) -> str:
    if not is_safe_url(url):
        raise ValueError("must be an https address; http will do on this machine alone")
    return url


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _networks(proxies: tuple[str, ...]) -> tuple[str, ...]:
    try:
        for proxy in proxies:
            ipaddress.ip_network(proxy)
    except ValueError:
        raise ValueError("each must be an address or a network, such as 10.0.0.0/8") from None
    return proxies


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    if not all(re.fullmatch(r"https?://[^/*?#@\s]+", origin) for origin in origins):
        raise ValueError("each must be a scheme and a host, such as https://app.example.com, without a path")
    return origins


def _none(rate: Any) -> Any:
    return None if rate == "none" else rate


def _secrets(directory: Path) -> Path:
    if directory != SECRETS_DIR and not directory.is_dir():
        raise ValueError("there is no such directory")
    return directory


def _schedule(schedule: str) -> str:
    from croniter import CroniterBadDateError, croniter  # only those load it who set a schedule

    if len(schedule.split()) != CRON_FIELDS or not croniter.is_valid(schedule):
        raise ValueError("must be five fields: minute, hour, day of the month, month, day of the week")
    try:
        croniter(schedule, datetime.now(UTC)).get_next()
    except CroniterBadDateError:
        raise ValueError("that time never comes: the month has no such day") from None
    return schedule


def _from_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:  # which would repeat the value
        raise ValueError('must be JSON, such as {"data-team": "train"}') from None


_REAL = AfterValidator(_with_a_real_password)
_Separated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]  # by commas, not as JSON

Host = Annotated[str, AfterValidator(_host)]
Names = _Separated
Networks = Annotated[_Separated, AfterValidator(_networks)]
Origins = Annotated[_Separated, AfterValidator(_origins)]
Issuer = Annotated[str, AfterValidator(_issuer)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Rate = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,8}/(second|minute|hour|day)$")] | None,
    BeforeValidator(_none),
]
Scopes = Annotated[dict[str, Scope], NoDecode, BeforeValidator(_from_json)]
SecretsDir = Annotated[Path, AfterValidator(_secrets)]
Schedule = Annotated[str, AfterValidator(_schedule)]
CacheUrl = Annotated[SecretStr, _beginning("memory://", "redis://", "rediss://"), _REAL]
ClusterUrl = Annotated[str, _beginning("tcp://", "tls://")]
CounterUrl = Annotated[SecretStr, _beginning("redis://", "rediss://", "redis+unix://"), _REAL]
DatabaseUrl = Annotated[SecretStr, _beginning("postgresql://", "postgresql+psycopg://", "sqlite:///"), _REAL]
StorageUrl = Annotated[SecretStr, _beginning("file:///", "s3://", "gs://", "az://")]
WebUrl = Annotated[SecretStr, _beginning("http://", "https://")]

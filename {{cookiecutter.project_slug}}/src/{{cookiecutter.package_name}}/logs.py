"""How processes log: lines for people on standard error."""

from typing import Any

PACKAGE = (__package__ or "").partition(".")[0]
"""Name of the package, and so of its loggers."""

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {PACKAGE: {"level": "INFO"}, "uvicorn": {"level": "INFO"}},
}
"""Configuration for `logging.config.dictConfig`, the same in every process."""

"""Names of the package of the project that the tests use, and of the variables of its settings."""

from sample.settings import Settings

PACKAGE = Settings.package
PREFIX = Settings.prefix

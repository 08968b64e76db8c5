"""Names of this project's package and of the variables of its settings."""

from package_name.settings import Settings

PACKAGE = Settings.package
PREFIX = Settings.prefix

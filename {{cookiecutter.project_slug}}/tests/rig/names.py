"""What this project's package, and the variables of its settings, are called."""

from package_name.settings import Settings

PACKAGE = Settings.package
PREFIX = Settings.prefix

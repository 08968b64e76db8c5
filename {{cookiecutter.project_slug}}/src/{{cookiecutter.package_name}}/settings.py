"""Settings of the service, read from variables of the environment, a file `.env`, or files of secrets."""

import mlapi


class Settings(mlapi.Settings):
    """The library's settings. Add your own below: a field, its default, and a docstring that says what it means."""

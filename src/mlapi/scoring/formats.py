"""The formats of tables, as files and as media types."""

from pathlib import PurePosixPath
from typing import Literal

Format = Literal["csv", "jsonl", "parquet"]
"""CSV with a header, UTF-8; JSON Lines, an object a line; Apache Parquet."""

MEDIA_TYPES: dict[str, Format] = {
    "text/csv": "csv",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "application/vnd.apache.parquet": "parquet",
}
"""What is taken and given; of several names for one format, the first is given."""

SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
"""What the names of files end with."""


def format_of(path: str) -> Format | None:
    """Tell the format of a file from the end of its name."""
    return SUFFIXES.get(PurePosixPath(path).suffix.lower())


def media_type(wanted: Format) -> str:
    """Return the media type of a format."""
    return next(name for name, one in MEDIA_TYPES.items() if one == wanted)

"""Training data from a URL: downloaded once, checked against its digest, unpacked and kept."""

import lzma
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any


def fetch(url: str, sha256: str, cache: Path) -> Path:
    """Return the CSV file in the archive at `url`, downloading it unless `cache` has it.

    Args:
        url: An archive (.zip, .tar, .tar.gz, .tgz) or a compressed file (.gz, .xz, .bz2) that holds one CSV file.
        sha256: Digest that the archive must have, 64 hexadecimal digits.
        cache: Directory to keep the archive and its content in.

    Raises:
        ValueError: the archive cannot be downloaded, differs from its digest or does not hold one CSV file.

    """
    import pooch

    name = url.rstrip("/").rpartition("/")[2].partition("?")[0] or "dataset"
    try:
        found = pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}",
            fname=f"{sha256[:12]}-{name}",
            path=cache,
            processor=_unpacker(pooch, name),
            progressbar=sys.stderr.isatty(),
        )
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, EOFError) as error:
        raise ValueError(f"the training data {name} cannot be unpacked") from error
    except ValueError as error:
        raise ValueError(f"the training data {name} differs from its SHA-256 digest; check both settings") from error
    except OSError as error:
        raise ValueError(f"the training data {name} cannot be downloaded ({type(error).__name__})") from error
    files = [Path(path) for path in ([found] if isinstance(found, str) else found)]
    tables = [path for path in files if path.suffix.lower() == ".csv"]
    if len(tables) != 1:
        raise ValueError(f"the archive {name} must hold one .csv file, not {len(tables)}")
    return tables[0]


def _unpacker(pooch: Any, name: str) -> Any:
    """Choose how to unpack a file by its name; None for a plain CSV file."""
    lower = name.lower()
    if lower.endswith(".zip"):
        return pooch.Unzip()
    if lower.endswith((".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")):
        return pooch.Untar()
    if lower.endswith((".gz", ".xz", ".bz2")):
        return pooch.Decompress(name=f"{Path(name).stem.removesuffix('.csv')}.csv")
    return None

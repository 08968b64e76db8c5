"""Training data from a URL: downloaded once, checked against its digest, unpacked and kept."""

import lzma
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Archive:
    """Where training data are to be had."""

    url: str
    """An archive (.zip, .tar, .tar.gz, .tgz) or a compressed file (.gz, .xz, .bz2) that holds one CSV file."""
    sha256: str
    """Digest that it must have, 64 hexadecimal digits."""
    cache: Path
    """Directory to keep it and its content in."""

    @property
    def name(self) -> str:
        """Name of the file at the URL."""
        return self.url.rstrip("/").rpartition("/")[2].partition("?")[0] or "dataset"

    def fetch(self) -> Path:
        """Return the CSV file, downloading and unpacking it unless it is kept already.

        Raises:
            ValueError: the archive cannot be downloaded, differs from its digest or does not hold one CSV file.

        """
        files = [Path(path) for path in self._retrieve()]
        tables = [path for path in files if path.suffix.lower() == ".csv"]
        if len(tables) != 1:
            raise ValueError(f"the archive {self.name} must hold one .csv file, not {len(tables)}")
        return tables[0]

    def _retrieve(self) -> list[str]:
        """Return the paths of the unpacked files."""
        import pooch

        try:
            found = pooch.retrieve(
                self.url,
                known_hash=f"sha256:{self.sha256}",
                fname=f"{self.sha256[:12]}-{self.name}",
                path=self.cache,
                processor=_unpacker(pooch, self.name),
                progressbar=sys.stderr.isatty(),
            )
        except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, EOFError) as error:
            raise ValueError(f"the training data {self.name} cannot be unpacked") from error
        except ValueError as error:
            raise ValueError(f"the training data {self.name} differs from its SHA-256 digest") from error
        except OSError as error:
            raise ValueError(f"the training data {self.name} cannot be downloaded ({type(error).__name__})") from error
        return [found] if isinstance(found, str) else list(found)


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

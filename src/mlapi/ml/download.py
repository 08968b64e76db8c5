"""Training data from a URL: downloaded once, checked against its digest, unpacked and kept."""

import bz2
import gzip
import lzma
import os
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Archive:
    """Where training data are to be had."""

    url: str
    """An archive (zip, or tar of any compression) of one CSV file, or that file itself, compressed or not."""
    sha256: str
    """Digest that it must have, 64 hexadecimal digits."""
    cache: Path
    """Directory to keep it and its content in."""

    @property
    def name(self) -> str:
        """Name of the file at the URL."""
        return self.url.rstrip("/").rpartition("/")[2].partition("?")[0] or "dataset"

    def fetch(self) -> Path:
        """Return the CSV file, downloading it unless it is kept already.

        Raises:
            ValueError: the archive cannot be downloaded, differs from its digest or does not hold one CSV file.

        """
        import pooch

        try:
            # The digest is checked each time, also of an archive that is kept already.
            archive = Path(
                pooch.retrieve(
                    self.url,
                    known_hash=f"sha256:{self.sha256}",
                    fname=f"{self.sha256[:12]}-{self.name}",
                    path=self.cache,
                    progressbar=sys.stderr.isatty(),
                )
            )
        except ValueError as error:
            raise ValueError(f"the training data {self.name} differs from its SHA-256 digest") from error
        except OSError as error:
            raise ValueError(f"the training data {self.name} cannot be downloaded ({type(error).__name__})") from error
        try:
            content = unpack(archive)
        except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error) as error:
            raise ValueError(f"the training data {self.name} cannot be unpacked") from error
        # Unpacked each time: what an interrupted run left must never be taken for the whole.
        table = archive.with_name(f"{archive.name}.unpacked.csv")
        temporary = table.with_name(f"{table.name}.{os.getpid()}")
        temporary.write_bytes(content)
        return temporary.replace(table)


def unpack(archive: Path) -> bytes:
    """Return the content of the CSV file in an archive, or of the file itself, told apart by what is in it.

    Raises:
        ValueError: an archive holds no CSV file, or more than one.

    """
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            return zipped.read(_only_table(zipped.namelist()))
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tarred:
            member = tarred.extractfile(_only_table(tarred.getnames()))
            return member.read() if member else b""
    content = archive.read_bytes()
    for magic, decompress in ((b"\x1f\x8b", gzip.decompress), (b"\xfd7zXZ", lzma.decompress), (b"BZh", bz2.decompress)):
        if content.startswith(magic):
            return decompress(content)
    return content


def _only_table(names: Iterable[str]) -> str:
    tables = [name for name in names if name.lower().endswith(".csv")]
    if len(tables) != 1:
        raise ValueError(f"the archive must hold one .csv file, not {len(tables)}")
    return tables[0]

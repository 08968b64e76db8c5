"""Files that jobs read and make, by URL: a directory, or a bucket of an object store.

An object is written as a whole or not at all: to a temporary name that is then renamed, or by one upload.
"""

import io
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

from .durable import free_bytes
from .errors import DiskFull, StorageUnavailable

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from obstore.store import ObjectStore

PIECE = 4 * 2**20
"""Bytes that are read at once."""
UPLOAD_PIECE = 8 * 2**20
"""Bytes that are sent at once. S3 takes no fewer than 5 MiB, and at most 10,000 pieces."""

NO_FILE = "There is no such file."
"""What is said of a path that leads through a file or to a directory, without that path."""
UNREACHABLE = "The storage of the files cannot be reached; try again later."
"""What a caller is told while the storage is away, without its address."""


class Storage:
    """Objects under a URL. Safe to use from many threads, and small when it is sent to another process: it is its URL.

    Methods raise `FileNotFoundError` for an object that is not there, `DiskFull` and `StorageUnavailable`.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def directory(self) -> Path | None:
        """The directory where the objects are, if they are in one."""
        parts = urlsplit(self.url)
        return Path(url2pathname(parts.path)) if parts.scheme == "file" else None

    def write(self, path: str, content: bytes) -> None:
        """Write an object at once."""
        import obstore

        with faults_translated():
            obstore.put(_store(self.url), path, content)

    async def receive(self, path: str, pieces: AsyncIterator[bytes]) -> None:
        """Write an object as it arrives; nothing is left of it if `pieces` raises."""
        import obstore

        with faults_translated():
            await obstore.put_async(_store(self.url), path, pieces, chunk_size=UPLOAD_PIECE)

    @contextmanager
    def writer(self, path: str) -> Iterator[IO[bytes]]:
        """Open an object to write; it is there once the block has ended well."""
        import obstore

        with faults_translated(), obstore.open_writer(_store(self.url), path, buffer_size=UPLOAD_PIECE) as file:
            yield cast("IO[bytes]", _Writer(file))

    def read(self, path: str, start: int = 0, end: int | None = None) -> bytes:
        """Read an object, or the bytes from `start` up to `end`."""
        with faults_translated():
            if self.directory is not None:  # the library would take most of a millisecond
                with self.reader(path) as file:
                    file.seek(start)
                    return file.read(-1 if end is None else max(end - start, 0))
            import obstore

            if end is None:
                return bytes(obstore.get(_store(self.url), path).bytes())[start:]
            return bytes(obstore.get_range(_store(self.url), path, start=start, end=end)) if end > start else b""

    def pieces(self, path: str, start: int, end: int, size: int = PIECE) -> Iterator[bytes]:
        """Read the bytes of an object from `start` up to `end`, one piece of this size after the other."""
        for place in range(start, end, size):
            yield self.read(path, place, min(place + size, end))

    def reader(self, path: str) -> IO[bytes]:
        """Open an object to read here and there."""
        directory = self.directory
        if directory is not None:
            with faults_translated():
                return (directory / path).open("rb")
        return io.BufferedReader(_Reader(self, path), PIECE)

    def size(self, path: str) -> int:
        """Return the bytes of an object."""
        return self.facts(path)[0]

    def facts(self, path: str) -> tuple[int, str]:
        """Return the bytes of an object, and what changes whenever it is written anew."""
        import obstore

        with faults_translated():
            found = obstore.head(_store(self.url), path)
        return found["size"], found["e_tag"] or f'"{found["last_modified"].timestamp()}"'

    def paths(self, prefix: str) -> Sequence[str]:
        """List the objects whose path is in a folder, in order, without that folder's name."""
        import obstore

        with faults_translated():
            found = obstore.list(_store(self.url), prefix).collect()
        return sorted(one["path"].removeprefix(f"{prefix}/") for one in found)

    def written(self, prefix: str) -> Sequence[tuple[str, "datetime"]]:
        """List the objects in a folder, each with the time when it was written."""
        import obstore

        with faults_translated():
            found = obstore.list(_store(self.url), prefix).collect()
        return [(one["path"].removeprefix(f"{prefix}/"), one["last_modified"]) for one in found]

    def folders(self, prefix: str) -> Sequence[str]:
        """List the folders in a folder."""
        import obstore

        with faults_translated():
            found = obstore.list_with_delimiter(_store(self.url), prefix)["common_prefixes"]
        return sorted(path.rpartition("/")[2] for path in found)

    def remove_one(self, path: str) -> None:
        """Remove an object, if it is there."""
        import obstore

        with faults_translated(), suppress(FileNotFoundError):
            obstore.delete(_store(self.url), path)

    def remove(self, prefix: str) -> None:
        """Remove a folder, and what an interrupted writer left in it."""
        import obstore

        if self.directory is not None:
            shutil.rmtree(self.directory / prefix, ignore_errors=True)
            return
        with faults_translated():
            obstore.delete(_store(self.url), [f"{prefix}/{path}" for path in self.paths(prefix)])

    def check_room(self, needed: int, least: int) -> None:
        """Raise `DiskFull` if after `needed` bytes more fewer than `least` would be free; a bucket has no end."""
        if self.directory is not None and free_bytes(self.directory) - needed < least:
            raise DiskFull("There is too little room on the disk for this file. Try again later.")


@lru_cache(maxsize=8)
def _store(url: str) -> "ObjectStore":
    from obstore.store import LocalStore, from_url

    if url.startswith("file:"):
        return LocalStore(cast("Path", Storage(url).directory), mkdir=True)
    return from_url(url)


@contextmanager
def faults_translated() -> Iterator[None]:
    """Raise a domain error for what the library raises, which may hold paths and addresses."""
    # Waits for another thread that imports it: until then, a folder of type hints is taken for its exceptions.
    import obstore  # noqa: F401
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError:
        raise
    except (NotADirectoryError, IsADirectoryError) as error:
        raise FileNotFoundError(NO_FILE) from error
    except (BaseError, OSError) as error:
        if "Not a directory (os error" in str(error):  # the path goes on behind the name of a file
            raise FileNotFoundError(NO_FILE) from error
        if "No space left on device" in str(error):
            raise DiskFull("There is no room left on the disk of the files.") from error
        raise StorageUnavailable(UNREACHABLE) from error


class _Writer(io.RawIOBase):
    """A file as libraries expect one; the library's own differs in `closed`."""

    def __init__(self, file: "Any") -> None:
        self._file = file
        self._place = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def write(self, content: "Any") -> int:
        written = memoryview(content).nbytes
        self._file.write(bytes(content))
        self._place += written
        return written


class _Reader(io.RawIOBase):
    """An object to read here and there, one request for each read."""

    def __init__(self, storage: Storage, path: str) -> None:
        self._storage, self._path = storage, path
        self._size = storage.size(path)
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + (0, self._place, self._size)[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: "Any") -> int:
        content = self._storage.read(self._path, self._place, min(self._place + len(buffer), self._size))
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)

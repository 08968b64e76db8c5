import gzip
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mlapi.ml.download import Archive

TABLE = b"a,b\n1,2\n"


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, TABLE)
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("folder/table.csv")
        member.size = len(TABLE)
        archive.addfile(member, io.BytesIO(TABLE))
    return file.getvalue()


FILES = {
    "/table.zip": zipped("table.csv", "README.md"),
    "/table.tar.gz": tarred(),
    "/table.csv.gz": gzip.compress(TABLE),
    "/table.csv": TABLE,
    "/table": zipped("table.csv"),
    "/broken.gz": gzip.compress(TABLE)[:-9],
    "/two.zip": zipped("one.csv", "two.csv"),
}


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A file server on loopback, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            content = FILES.get(self.path)
            self.send_response(200 if content else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}", asked
        httpd.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/table.zip", "/table.tar.gz", "/table.csv.gz", "/table.csv", "/table"])
def test_an_archive_is_downloaded_once_checked_and_unpacked(
    server: tuple[str, list[str]], tmp_path: Path, path: str
) -> None:
    url, asked = server
    for _ in range(2):
        assert Archive(url + path, sha256(FILES[path]).hexdigest(), tmp_path).fetch().read_bytes() == TABLE
    assert asked == [path]


def test_what_an_interrupted_run_left_is_not_taken_for_the_whole(server: tuple[str, list[str]], tmp_path: Path) -> None:
    archive = Archive(f"{server[0]}/table.zip", sha256(FILES["/table.zip"]).hexdigest(), tmp_path)
    archive.fetch().write_bytes(TABLE[:3])
    assert archive.fetch().read_bytes() == TABLE


@pytest.mark.parametrize(
    ("path", "digest", "message"),
    [
        ("/table.zip", "0" * 64, "differs from its SHA-256 digest"),
        ("/nowhere.zip", "0" * 64, "cannot be downloaded"),
        ("/two.zip", sha256(FILES["/two.zip"]).hexdigest(), "must hold one .csv file, not 2"),
        ("/broken.gz", sha256(FILES["/broken.gz"]).hexdigest(), "cannot be unpacked"),
    ],
    # The archives hold the time, and so the digests differ from run to run. Processes that share the tests must agree.
    ids=["altered", "missing", "two tables", "broken"],
)
def test_what_is_not_as_promised_is_refused(
    server: tuple[str, list[str]], tmp_path: Path, path: str, digest: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Archive(server[0] + path, digest, tmp_path).fetch()

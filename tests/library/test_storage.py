import asyncio
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sample.settings import Settings

from mlapi.errors import DiskFull, StorageUnavailable
from mlapi.storage import PIECE, Storage

from rig.bucket import make_bucket, speaking_s3
from rig.names import PREFIX
from rig.ports import hold_port, port_of


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    with speaking_s3() as variables:
        yield variables


@pytest.fixture(params=["directory", "s3"])
def storage(
    request: pytest.FixtureRequest, tmp_path: Path, server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Storage:
    if request.param == "directory":
        return Storage((tmp_path / "a folder").as_uri())
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    return Storage(f"{make_bucket(server)}/folder")


def test_what_is_written_is_read_listed_and_removed(storage: Storage) -> None:
    storage.write("one/b", b"0123456789")
    storage.write("one/a", b"")
    storage.write("two/c", b"x")
    assert storage.paths("one") == ["a", "b"]
    assert storage.size("one/b") == 10
    assert storage.read("one/b") == b"0123456789"
    assert storage.read("one/b", 2, 5) == b"234"
    assert storage.read("one/b", 5, 5) == b""
    storage.write("one/b", b"again")
    assert storage.read("one/b") == b"again"
    storage.remove("one")
    assert (storage.paths("one"), storage.paths("two"), storage.paths("none")) == ([], ["c"], [])


def test_a_large_object_is_written_and_read_in_pieces(storage: Storage) -> None:
    piece = bytes(range(256)) * (PIECE // 256)
    with storage.writer("large") as file:
        for _ in range(3):
            file.write(piece)
        assert storage.paths("") == []  # it is there as a whole or not at all
    assert storage.size("large") == 3 * PIECE
    assert b"".join(storage.pieces("large", 1, 3 * PIECE - 1)) == (piece * 3)[1:-1]
    with storage.reader("large") as file:
        file.seek(-2, 2)
        assert file.read() == b"\xfe\xff"
        file.seek(PIECE - 1)
        assert file.read(3) == b"\xff\x00\x01"


def test_an_object_whose_writer_fails_is_not_there(storage: Storage) -> None:
    def fail() -> None:
        with storage.writer("half") as file:
            file.write(bytes(3 * PIECE))
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(3 * PIECE)
        raise DiskFull("no room")

    with pytest.raises(DiskFull):
        asyncio.run(storage.receive("half", pieces()))
    assert storage.paths("") == []


def test_what_is_not_there_is_told_as_of_a_file(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.read("none")
    with pytest.raises(FileNotFoundError):
        storage.size("none")


def test_a_path_through_a_file_or_to_a_directory_leads_to_no_file(tmp_path: Path) -> None:
    storage = Storage(tmp_path.as_uri())
    storage.write("folder/a", b"x")
    for path in ("folder/a/b", "folder"):
        for look in (storage.size, storage.read, storage.reader):
            with pytest.raises(FileNotFoundError):
                look(path)


@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "a//b", "nul\0"])
def test_no_path_leads_out(storage: Storage, path: str) -> None:
    """Checklist 19."""
    with pytest.raises((ValueError, StorageUnavailable)):
        storage.write(path, b"x")


def test_a_storage_can_be_sent_to_another_process(storage: Storage) -> None:
    storage.write("a", b"x")
    assert pickle.loads(pickle.dumps(storage)).read("a") == b"x"


FIRST_USED_BY_TWO_THREADS = """
import sys, threading
from mlapi.storage import faults_translated

sys.setswitchinterval(1e-6)

def use():
    while "obstore" not in sys.modules:
        pass
    with faults_translated():
        print("used")

thread = threading.Thread(target=use)
thread.start()
import obstore
thread.join()
"""


def test_two_threads_may_be_the_first_to_use_a_storage() -> None:
    """A worker that starts takes up several jobs at once."""
    for _ in range(5):  # without care, four of five fail
        done = subprocess.run(
            [sys.executable, "-c", FIRST_USED_BY_TWO_THREADS], capture_output=True, text=True, check=True
        )
        assert done.stdout == "used\n", done.stderr


def test_a_server_that_is_away_is_unavailable_and_its_address_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ALLOW_HTTP": "true", "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with hold_port() as nobody:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port_of(nobody)}")
        with pytest.raises(StorageUnavailable) as raised:
            Storage("s3://bucket-that-is-away").read("a")
    assert "127.0.0.1" not in str(raised.value)


def test_too_little_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    storage = Storage(tmp_path.as_uri())
    storage.check_room(1, 1)
    with pytest.raises(DiskFull):
        storage.check_room(1, 2**62)


def test_the_storage_is_in_the_data_directory_unless_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Storage(Settings(data_dir=tmp_path).files_url()).directory == tmp_path / "files"
    monkeypatch.setenv(f"{PREFIX}STORAGE_URL", "s3://bucket/folder")
    storage = Storage(Settings().files_url())
    assert (storage.url, storage.directory) == ("s3://bucket/folder", None)

"""The list of rejected rows."""

from pathlib import Path

from mlapi.scoring.assemble import assemble_rejects
from mlapi.storage import Storage


def test_no_more_rejects_are_read_than_are_listed(tmp_path: Path) -> None:
    read: list[str] = []

    class Observed(Storage):
        def read(self, path: str, start: int = 0, end: int | None = None) -> bytes:
            read.append(path)
            return super().read(path, start, end)

    storage = Observed(tmp_path.as_uri())
    names = [f"job/rejects/{number:06}" for number in range(4)]
    for name in names:
        storage.write(name, b'1,"a"\n2,"b"\n')
    assert b"".join(assemble_rejects(storage, "job", 3)) == b'line,reason\n1,"a"\n2,"b"\n1,"a"\n'
    assert read == names[:2]

"""The licence texts: the very words, with the year and the owner where they belong."""

import hashlib
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from workbench import BIN, ROOT, SLUG, run

YEAR = datetime.now(tz=UTC).year
# The texts as their stewards publish them: after the line above them that names the owner, where they have one.
# Apache-2.0 is apache.org/licenses/LICENSE-2.0.txt and GPL-3.0 is gnu.org/licenses/gpl-3.0.txt, whole.
DIGESTS = {
    "MIT": "f9c4c77baa3828004ee54b8a4f2db2e88ed44a6237a493965bf551fac0fcb62d",
    "Apache-2.0": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "BSD-3-Clause": "385bd291fabfc4336a725e83b807ec1db4340b5cdf1eb3e1e82db14a6f530b04",
    "GPL-3.0-or-later": "3972dc9744f6499f0f9b2dbf76696f2ae7ad8af9b23dde66d6af86c9dfb36986",
    "Proprietary": "9a30953f224e896fd21da3628769a564a39da49e1bb315237f4579324cb2b0da",
}
OWNERS = {
    "MIT": f"MIT License\n\nCopyright (c) {YEAR} Zoë O'Neil\n\n",
    "Apache-2.0": f"Iris API\nCopyright {YEAR} Zoë O'Neil\n\nLicensed under the Apache License, Version 2.0",
    "BSD-3-Clause": f"BSD 3-Clause License\n\nCopyright (c) {YEAR} Zoë O'Neil\n\n",
    "GPL-3.0-or-later": f"Iris API\nCopyright (C) {YEAR} Zoë O'Neil\n\nThis program is free software:",
    "Proprietary": f"Copyright (c) {YEAR} Zoë O'Neil. All rights reserved.\n\n",
}
STARTS = {
    "MIT": "Permission is hereby granted",
    "Apache-2.0": "\n                                 Apache License",
    "BSD-3-Clause": "Redistribution and use",
    "GPL-3.0-or-later": "                    GNU GENERAL PUBLIC LICENSE",
    "Proprietary": "This software, its source code",
}


@pytest.mark.parametrize("licence", sorted(STARTS))
def test_a_project_carries_the_licence_it_names(licence: str, tmp_path: Path, environ: dict[str, str]) -> None:
    answers = (f"license={licence}", "author_name=Zoë O'Neil")
    run(BIN / "mlapi", "new", "--no-input", "--output-dir", tmp_path, *answers, environ=environ)
    text = (tmp_path / SLUG / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith(OWNERS[licence])
    body = text[text.index(STARTS[licence]) :]
    assert hashlib.sha256(body.encode()).hexdigest() == DIGESTS[licence]
    metadata = tomllib.loads((tmp_path / SLUG / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata["license"] == ("LicenseRef-Proprietary" if licence == "Proprietary" else licence)
    assert metadata["license-files"] == ["LICENSE"]


def test_there_is_a_text_for_every_choice() -> None:
    assert sorted(path.stem for path in (ROOT / "templates" / "licenses").iterdir()) == sorted(STARTS)

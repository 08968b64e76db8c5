import re
from pathlib import Path

from sample.settings import Settings

from rig.names import PREFIX
from rig.sample import PROJECT

EXAMPLE = (PROJECT / ".env.example").read_text(encoding="utf-8")


def test_the_example_names_every_setting_with_its_meaning_and_default() -> None:
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None or field.default == () else str(field.default)
        default = default.lower() if isinstance(field.default, bool) else default
        assert f"\n# {field.description}\n#{PREFIX}{name.upper()}={default}\n" in EXAMPLE, name


def test_the_example_names_nothing_else() -> None:
    assert len(re.findall(f"^#{PREFIX}", EXAMPLE, re.MULTILINE)) == len(Settings.model_fields)


def test_the_example_uncommented_is_what_the_defaults_are(tmp_path: Path) -> None:
    lines = [line[1:] for line in EXAMPLE.splitlines() if line.startswith(f"#{PREFIX}") and not line.endswith("=")]
    (tmp_path / ".env").write_text("\n".join(lines))
    assert Settings() == Settings(_env_file=None)

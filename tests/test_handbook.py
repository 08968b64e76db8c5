"""The handbook: it builds without a warning, leads nowhere wrong, asks no other host for anything, and is true."""

import argparse
import os
import re
import runpy
import shlex
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from test_cli import Terminal
from workbench import BIN, ROOT, SLUG, UV, contents, run

EXAMPLE = "example/"
LOADING = {"script": "src", "img": "src", "link": "href", "source": "src", "iframe": "src", "object": "data"}


class Page(HTMLParser):
    """Collects what a page links to, what it loads, and what can be linked to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors = {"", "top"}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        named = {"canonical", "alternate"} & {*given.get("rel", "").split()}  # an address, and nothing to load
        if LOADING.get(tag) in given and not named:
            self.loads.append(given[str(LOADING[tag])])


def read(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def astray(site: Path, without: str = "\0") -> Iterator[str]:
    """Name each link and each loaded file that is not there."""
    pages = read(site)
    for path, page in pages.items():
        for link in [*page.links, *page.loads]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or parts.path.startswith(without):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or (target in pages and unquote(parts.fragment) not in pages[target].anchors):
                yield f"{path.relative_to(site)}: {link}"


def foreign(site: Path) -> list[str]:
    """List what pages and styles load from another host."""
    loaded = [load for page in read(site).values() for load in page.loads]
    for path in site.rglob("*.css"):
        loaded += re.findall(r"(?:url\(|@import )[\"']?([^\"')]+)", path.read_text(encoding="utf-8"))
    return [load for load in loaded if urlsplit(load).netloc]


def build(folder: Path, to: Path, environ: dict[str, str], expect: int = 0) -> str:
    command = ("-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "html", "-d", f"{to}-trees", "docs", to)
    return run(BIN / "python", *command, environ=environ, cwd=folder, expect=expect).stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> Path:
    """The handbook, without the example."""
    folder = tmp_path_factory.mktemp("handbook") / "site"
    build(ROOT, folder, environ)
    return folder


def test_it_builds_without_a_warning_and_leads_nowhere_wrong(site: Path) -> None:
    assert len(read(site)) > 12
    assert [*astray(site, without=EXAMPLE)] == []


def test_it_points_to_the_example(site: Path) -> None:
    found = [path.name for path, page in read(site).items() if f"{EXAMPLE}index.html" in page.links]
    assert found == ["choose.html", "index.html", "site.html"]
    assert [*astray(site)] != [], "without the example these links lead nowhere, and that is noticed"


def test_it_asks_no_other_host_for_anything(site: Path, tmp_path: Path) -> None:
    assert foreign(site) == []
    (tmp_path / "page.html").write_text('<script src="https://cdn.example.org/x.js"></script>', encoding="utf-8")
    (tmp_path / "x.css").write_text('@import "https://fonts.example.org/x.css";', encoding="utf-8")
    assert len(foreign(tmp_path)) == 2


def test_the_reference_names_every_command_and_option(site: Path, environ: dict[str, str]) -> None:
    page = re.sub(r"<[^>]+>", "", (site / "command-line.html").read_text(encoding="utf-8"))
    described = (
        run(BIN / "mlapi", "--help", environ=environ).stdout
        + run(BIN / "mlapi", "new", "--help", environ=environ).stdout
    )
    flags = set(re.findall(r"(?m)(?<![\w-])--?[a-z][a-z-]*", described.partition("examples:")[0]))
    assert flags == {"-h", "--help", "--version", "--answers", "--output-dir", "--no-input"}
    assert [flag for flag in flags if flag not in page] == []
    assert "mlapi new [-h] [--answers FILE] [--output-dir DIR]" in page


def test_an_option_without_an_explanation_fails_the_build() -> None:
    described = runpy.run_path(str(ROOT / "docs" / "_ext" / "command_line.py"))["described"]
    silent = argparse.ArgumentParser(prog="x", description="Does x.")
    silent.add_argument("--quick", action="store_true")
    with pytest.raises(ValueError, match="x has an argument quick without help"):
        list(described(silent))


@pytest.mark.full
@pytest.mark.parametrize("fault", ["[a](nowhere.md)", "```{command-lime}\n```"])
def test_a_fault_in_a_page_fails_the_build(fault: str, clone: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    folder = shutil.copytree(clone, tmp_path / "clone")
    with (folder / "docs" / "choose.md").open("a", encoding="utf-8") as page:
        page.write(f"\n{fault}\n")
    assert "choose.md" in build(folder, tmp_path / "site", environ, expect=1)


@pytest.mark.full
def test_make_docs_puts_the_example_beside_it(clone: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    folder = shutil.copytree(clone, tmp_path / "clone")
    run("make", "docs", environ=environ, cwd=folder)
    html = folder / "docs" / "_build" / "html"
    assert "Iris API" in (html / "example" / "index.html").read_text(encoding="utf-8")
    assert (html / "example" / "openapi.json").is_file()
    assert [*astray(html)] == []
    assert foreign(html) == []
    assert [name for name in contents(html) if ".doctrees" in name] == []


def blocks(page: str) -> list[str]:
    """Return the commands of a page's console blocks."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.findall(r"(?ms)^ *```console\n(.*?)^ *```", text)
    return ["\n".join(line.strip().removeprefix("$ ") for line in block.splitlines()) for block in found]


def test_an_update_as_described_brings_the_new_and_keeps_what_is_ours(
    clone: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    """The pages' own commands, from a generated project to one that is updated to a newer template."""
    bin_, template = tmp_path / "bin", shutil.copytree(clone, tmp_path / "template")
    bin_.mkdir()
    command = f'#!/bin/sh\nPYTHONPATH={template}/src exec {BIN}/python -m mlapi_template "$@"\n'
    (bin_ / "mlapi").write_text(command, encoding="utf-8")
    (bin_ / "mlapi").chmod(0o755)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.com\n", encoding="utf-8")
    shell = environ | {"PATH": f"{bin_}:{environ['PATH']}", "HOME": str(tmp_path / "home")}

    first = blocks("live-with.md")[0]
    assert first.startswith("git init -b main\n")
    project = tmp_path / "wine-quality"
    answers = ("project_name=Wine quality", "license=Apache-2.0", 'description=Says "good" or "bad"; é.')
    run("mlapi", "new", "--no-input", *answers, environ=shell, cwd=tmp_path)
    run("bash", "-euxc", first, environ=shell, cwd=project)
    with (project / "README.md").open("a", encoding="utf-8") as readme:
        readme.write("\nOurs.\n")
    run("git", "commit", "-qam", "Ours", environ=shell, cwd=project)

    inner = template / "{{cookiecutter.project_slug}}"
    (inner / "new.txt").write_text("{{ cookiecutter.project_name }}\n", encoding="utf-8")
    (inner / ".pre-commit-config.yaml").unlink()
    makefile = (inner / "Makefile").read_text(encoding="utf-8")
    (inner / "Makefile").write_text(f"# Newer\n{makefile}", encoding="utf-8")
    old, update, merge, _ = blocks("update.md")
    assert old == "git branch template COMMIT"
    run("bash", "-euxc", update, environ=shell, cwd=project)
    run("bash", "-euxc", merge, environ=shell, cwd=project)
    assert (project / "new.txt").read_text(encoding="utf-8") == "Wine quality\n"
    assert "Apache License" in (project / "LICENSE").read_text(encoding="utf-8")
    assert not (project / ".pre-commit-config.yaml").exists()
    assert (project / "Makefile").read_text(encoding="utf-8").startswith("# Newer\n")
    assert (project / "README.md").read_text(encoding="utf-8").endswith("\nOurs.\n")
    assert run("git", "status", "--porcelain", environ=shell, cwd=project).stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "home", "template", "wine-quality"]


@pytest.mark.full
def test_a_model_of_the_first_template_moves_over_as_described(
    tmp_path: Path, project: Path, environ: dict[str, str]
) -> None:
    folder = shutil.copytree(project, tmp_path / SLUG)
    model = folder / "src" / "iris_api" / "ml" / "classifier.py"
    model.write_text((ROOT / "tests" / "kept" / "classifier.py.txt").read_text(encoding="utf-8"), encoding="utf-8")
    more = model.with_name("more.py")
    more.write_text(
        '"""More."""\n\nfrom .base import Dataset\nfrom .classifier import IrisClassifier\n\n\n'
        'class More(IrisClassifier):\n    """More."""\n\n    def export(self) -> bytes:\n        """Export."""\n'
        "        from .export import OPSET, to_bytes\n\n        return to_bytes([Dataset, OPSET])\n",
        encoding="utf-8",
    )
    run("bash", "-euxc", blocks("update.md")[-1], environ=environ, cwd=folder)
    moved = more.read_text(encoding="utf-8")
    assert "\nfrom mlapi import Dataset\n\nfrom .classifier import IrisClassifier\n" in moved
    assert "        from mlapi.ml.export import OPSET, to_bytes\n" in moved
    assert model.read_text(encoding="utf-8") == (project / "src" / "iris_api" / "ml" / "classifier.py").read_text(
        "utf-8"
    )
    run(UV, "run", "--locked", "--no-default-groups", "--group", "train", SLUG, "train", environ=environ, cwd=folder)


@pytest.mark.full
def test_a_release_as_described_is_pushed_with_its_tag(tmp_path: Path, project: Path, environ: dict[str, str]) -> None:
    release = next(block for block in blocks("live-with.md") if "git tag" in block)
    bump, commit, tag, push = release.splitlines()
    folder = shutil.copytree(project, tmp_path / "project")
    path = f"{Path(UV).parent}{os.pathsep}{environ['PATH']}"
    shell = environ | {"PATH": path, "HOME": str(tmp_path)}
    (tmp_path / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.com\n", encoding="utf-8")
    run("git", "init", "-q", "--bare", tmp_path / "origin", environ=shell)
    for command in (blocks("live-with.md")[0], f"git remote add origin {tmp_path / 'origin'}", f"{bump} --no-sync"):
        run("bash", "-euc", command, environ=shell, cwd=folder)
    version = run(UV, "version", "--short", environ=environ, cwd=folder).stdout.strip()
    assert release.count(version) == 3
    run(UV, "lock", "--check", environ=environ, cwd=folder)
    run("bash", "-euc", f"{commit}\n{tag}\n{push}", environ=shell, cwd=folder)
    assert f"v{version}" in run("git", "ls-remote", tmp_path / "origin", environ=shell).stdout


@pytest.mark.full
def test_generating_as_described_writes_the_project(clone: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    """At a terminal with the page's own answers, and at once; by the command, and by cookiecutter from a clone."""
    page = (ROOT / "docs" / "generate.md").read_text(encoding="utf-8")
    session = re.findall(r"(?ms)^```console\n\$ (mlapi.*?)\n(.*?)^```", page)[0]
    shell = environ | {"PATH": f"{BIN}{os.pathsep}{environ['PATH']}"}
    terminal = Terminal(shlex.split(session[0]), shell | {"NO_COLOR": "1"}, tmp_path)
    for line in session[1].splitlines():
        if line.startswith(">"):
            terminal.type(f"{line.removeprefix('>').strip()}\n")
        else:
            terminal.until(line)
    terminal.type("\n" * 10)
    assert terminal.end() == (0, f"{tmp_path / 'wine-quality'}\n")
    _, at_once, plain, _ = blocks("generate.md")
    asking, answered = plain.replace("PATH_OR_GIT_ADDRESS", str(clone)).splitlines()
    for name, command in (("a", at_once), ("b", f"{asking} --no-input project_slug=wine-quality"), ("c", answered)):
        (tmp_path / name).mkdir()
        run("bash", "-euc", command, environ=shell, cwd=tmp_path / name)
        assert (tmp_path / name / "wine-quality" / "README.md").is_file()


def test_every_command_of_the_handbook_is_run() -> None:
    """By the tests above; and the last of generating, like the first page's, by those of each problem."""
    found = {page.name: len(blocks(page.name)) for page in (ROOT / "docs").glob("*.md") if blocks(page.name)}
    assert found == {"generate.md": 4, "index.md": 1, "live-with.md": 2, "update.md": 4}
    assert blocks("generate.md")[-1].splitlines() == ["cd wine-quality", "make serve", "make test"]
    assert blocks("index.md")[0].splitlines() == ["mlapi new", f"cd {SLUG}", "make serve"]

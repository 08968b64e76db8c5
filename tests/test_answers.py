"""Which answers are refused, and that nothing is left behind then."""

import json
import runpy
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from workbench import AWKWARD, BIN, ROOT, SLUG, run, words

RULES = runpy.run_path(str(ROOT / "hooks" / "pre_gen_project.py"), run_name="rules")
QUESTIONS = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
CHOICES = [name for name, value in QUESTIONS.items() if isinstance(value, list)]
problem: Callable[[str, object], str] = RULES["problem"]

# Harmless characters, put together to end a string of Python or TOML.
QUOTES = "a''' + str(1/0) + ''' + \"\"\" + str(1/0) + \"\"\""

HOSTILE = [
    *(
        (name, text)
        for name in ("project_name", "description", "author_name")
        for text in (
            "",
            " Iris",
            "Iris ",
            "Iris  API",
            "Iris\nAPI",
            "Iris\r\nAPI",
            "Iris\tAPI",
            "Iris\x1b[31m",
            "Iris\x7f",
            "Iris\u0085API",
            "Iris\u2028API",
            "Iris\u00a0API",
            "Iris\ufeff",
            "Iris\u200bAPI",
            "Iris\u202eIPA",
            "Iris\u2066API",
            "Iris\u3164API",
            "Iris\ue000",
            "Iris\ufe0f",
            "Iris\ud800",
            "Iris\U000e0041",
            "e\u0301te\u0301",
            "Iris ☃",
            "Iris 🌸",
            "Iris {{ API }}",
            "Iris }",
            "Iris {% raw %}",
            "$(reboot)",
            "Iris $HOME",
            "Iris `reboot`",
            "Iris \\ API",
            "Iris \\",
            "Iris | API",
            "Iris <b>",
            "Iris > x",
            "**Iris**",
            "_Iris_",
            "Iris _API",
            "Iris ~~API~~",
            "[Iris](https://example.org)",
            "![Iris](x)",
            "[Iris]: x",
            "# Iris",
            "Iris #",
            "Iris # API",
            "- Iris",
            "+ Iris",
            ": Iris",
            "% Iris",
            "--- Iris",
            "===",
            "@all",
            "1. Iris",
            "12) Iris",
            "Iris &copy; API",
            "Iris &#65;",
            '"""',
            "'''",
            "x" * 201,
        )
    ),
    *(
        ("project_slug", text)
        for text in (
            *("", "ab", "x" * 41, "2iris", "Iris", "iris_api", "iris api", "iris--api", "-iris", "iris-", "iris.api"),
            *("../iris", "/tmp/iris", "iris/api", "..", "~iris", "iris\n", "írís", "ірис", "iris;reboot", "--help"),
            *("numpy", "fastapi", "scikit-learn", "python", "pip", "uvicorn", "sphinx-build", "test", "mlapi", "con"),
        )
    ),
    *(
        ("package_name", text)
        for text in (
            *("", "ab", "x" * 41, "2iris", "Iris", "iris-api", "iris api", "iris__api", "_iris", "iris_", "iris.api"),
            *("iris\n", "írís", "ірис", "../iris", "class", "match", "type", "none", "true", "json", "asyncore", "cgi"),
            *("numpy", "sklearn", "yaml", "fastapi", "test", "tests", "src", "docs", "benchmarks", "mlapi", "conftest"),
            *("package_name", "aux", "com1"),
        )
    ),
    *(
        ("author_email", text)
        for text in (
            *(
                "",
                "you",
                "you@",
                "you@localhost",
                "@example.com",
                "you@example..com",
                "you you@example.com",
                "you@-x.com",
            ),
            *(
                "<you@example.com>",
                "you@example.com\n",
                "zoë@example.com",
                '"a b"@example.com',
                "a@b.c,d@e.fr",
                "a@b@c.de",
            ),
            *("you@example.com" + "m" * 250, "mailto:you@example.com", "you.@example.com", "{{ you }}@example.com"),
        )
    ),
    *(
        ("repository_url", text)
        for text in (
            *(
                "",
                "gitlab.com/a/b",
                "http://gitlab.com/a/b",
                "git@gitlab.com:a/b",
                "ssh://git@gitlab.com/a/b",
                "https://",
            ),
            *("https://gitlab.com", "https://gitlab.com/", "https://gitlab.com/a/", "https://gitlab.com/a/../b"),
            *("https://gitlab.com/a b", "https://u:p@gitlab.com/a", "https://gitlab.com/a?b", "https://gitlab.com/a#b"),
            *("https://gitlab.com/a.git", "https://gitlab.com/a\n", 'https://gitlab.com/"', "https://gitlab.com/<a>"),
            *(
                "https://gitlab.com/$(a)",
                "https://gitlab.com/" + "a" * 200,
                "https://gitläb.com/a",
                "javascript:alert(1)",
            ),
        )
    ),
    *(
        (name, text)
        for name in ("license", "problem", "ci", "docs_languages")
        for text in ("", "WTFPL", "mit", "MIT\n")
    ),
]
LEGITIMATE = [
    *AWKWARD.items(),
    *(
        ("project_name", text)
        for text in ("Ирис", "虹膜", "हिन्दी भाषा", "C# API", "iris_api", "A.I. (2nd ed.)", "¿Qué?", "42")
    ),
    *(("author_name", text) for text in ("D'Arcy “Q” O'Neil", "ACME – R&D", "Zoë", "a__b", "x" * 100)),
    *(("description", text) for text in ("Mails x@y.org: https://example.org/?a=b%20c", "x" * 200, '\'Tis 100% "it".')),
    *(("project_slug", text) for text in ("abc", "iris-2-api", "x" * 40, "wine-quality", "a1b")),
    *(
        ("package_name", text)
        for text in ("abd", "iris_2_api", "x" * 40, "wine_quality", "model", "predict", "service", "wire")
    ),
    *(("author_email", text) for text in ("a@b.cd", "a_b-c+d.e@x-y.co.uk", "A@EXAMPLE.COM")),
    *(
        ("repository_url", text)
        for text in ("https://a/b", "https://git.sr.ht/~zoe/iris", "https://127.0.0.1:8443/a.b/c-d_e")
    ),
    *((name, value) for name in ("license", "problem", "ci", "docs_languages") for value in QUESTIONS[name]),
    ("something_else", "{{ anything }}"),
]


@pytest.mark.parametrize(("name", "text"), HOSTILE, ids=ascii)
def test_a_bad_answer_is_refused_in_one_line_that_says_what_is_allowed(name: str, text: str) -> None:
    """Checklist 44."""
    line = problem(name, text)
    assert line.startswith(f"{name}: ")
    assert " Allowed: " in line
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    assert len(line) < 400


@pytest.mark.parametrize(("name", "text"), LEGITIMATE, ids=ascii)
def test_a_good_answer_is_taken(name: str, text: str) -> None:
    assert problem(name, text) == ""


def test_an_answer_that_is_no_text_is_refused() -> None:
    assert RULES["problems"]({"project_name": True, "author_name": 3, "license": "MIT"}) == [
        "project_name: True is not text. Allowed: text.",
        "author_name: 3 is not text. Allowed: text.",
    ]


def test_every_question_has_a_rule_and_every_choice_a_label() -> None:
    asked = [name for name in QUESTIONS if not name.startswith("_")]
    assert asked == list(RULES["RULES"])
    choices = {name: tuple(QUESTIONS[name]) for name in asked if isinstance(QUESTIONS[name], list)}
    assert choices == RULES["CHOICES"]
    prompts = QUESTIONS["__prompts__"]
    assert list(prompts) == asked
    assert {name: list(prompts[name]) for name in choices} == {
        name: ["__prompt__", *values] for name, values in choices.items()
    }


# One of each kind goes the whole way, through both commands.
WHOLE_WAY = [
    ("project_name", "Iris\nAPI"),
    ("author_name", "$(reboot)"),
    ("description", "Iris \\"),
    ("author_name", "Zo\u200bë"),
    ("project_slug", "../iris"),
    ("project_slug", "numpy"),
    ("package_name", "class"),
    ("package_name", "tests"),
    ("author_email", "you"),
    ("repository_url", "https://gitlab.com/a b"),
]


@pytest.mark.parametrize(("name", "text"), WHOLE_WAY, ids=ascii)
def test_plain_cookiecutter_refuses_and_leaves_nothing(
    name: str, text: str, tmp_path: Path, environ: dict[str, str]
) -> None:
    done = run(
        *(BIN / "cookiecutter", ROOT, "--no-input", "--output-dir", tmp_path / "out", f"{name}={text}"),
        environ=environ,
        expect=1,
    )
    # cookiecutter adds lines of its own; ours is one of them, alone and whole.
    assert [line for line in done.stderr.splitlines() if line.startswith(f"{name}: ")] == [problem(name, text)]
    assert not (tmp_path / "iris").exists()
    assert list((tmp_path / "out").glob("**/*")) == []


@pytest.mark.parametrize(
    ("name", "text"), [*WHOLE_WAY, ("project_name", "{{ 7 * 7 }}"), ("license", "WTFPL")], ids=ascii
)
def test_mlapi_refuses_and_leaves_nothing(name: str, text: str, tmp_path: Path, environ: dict[str, str]) -> None:
    """Checklist 44."""
    done = run(
        *(BIN / "mlapi", "new", "--no-input", "--output-dir", tmp_path / "out", f"{name}={text}"),
        environ=environ,
        expect=2,
    )
    assert done.stderr.splitlines() == [f"mlapi: {problem(name, text)}"]
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_no_answer_ends_the_literal_that_it_reaches_the_hook_in(tmp_path: Path, environ: dict[str, str]) -> None:
    answers = words({"description": QUOTES, "author_name": QUOTES})
    run(BIN / "cookiecutter", ROOT, "--no-input", "--output-dir", tmp_path, *answers, environ=environ)
    about = tomllib.loads((tmp_path / SLUG / "src" / "iris_api" / "about.toml").read_text(encoding="utf-8"))
    assert (about["description"], about["author"]) == (QUOTES, QUOTES)


def test_mlapi_names_every_bad_answer_at_once(tmp_path: Path, environ: dict[str, str]) -> None:
    bad = {"author_email": "you", "license": "WTFPL"}
    done = run(BIN / "mlapi", "new", "--no-input", "--output-dir", tmp_path, *words(bad), environ=environ, expect=2)
    assert done.stderr.splitlines() == [f"mlapi: {problem(name, text)}" for name, text in bad.items()]


def test_a_bad_default_derived_from_a_good_answer_is_refused_too(tmp_path: Path, environ: dict[str, str]) -> None:
    command = (BIN / "mlapi", "new", "--no-input", "--output-dir", tmp_path, "project_name=2026 Iris")
    done = run(*command, environ=environ, expect=2)
    assert done.stderr.startswith("mlapi: project_slug: '2026-iris' does not have the form")

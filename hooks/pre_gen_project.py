"""Refuse an answer that would not work, before a file is written: one line that says what is allowed.

cookiecutter renders the answers into this file and runs it; `mlapi new` loads it as it stands and calls `problems`.
So this is the one place where the rules are written. It needs the standard library only.
"""

import html
import json
import keyword
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping
from functools import partial

CHOICES = {
    "problem": ("classification", "regression", "text"),
    "license": ("MIT", "Apache-2.0", "BSD-3-Clause", "GPL-3.0-or-later", "Proprietary"),
    "ci": ("gitlab", "github"),
    "docs_languages": ("en", "en+fr"),
}
SHORTEST_NAME, LONGEST_NAME = 3, 40
LONGEST_EMAIL, LONGEST_URL = 254, 200
LONGEST_QUOTE = 70

# Harmless in TOML and YAML strings, Makefiles, shell words in double quotes, Markdown and HTML.
PUNCTUATION = ".,:;!?'\"()&/+-_%@#="
TYPOGRAPHY = "\u00b0\u00b7\u2026\u2013\u2014\u2018\u2019\u201c\u201d\u00ab\u00bb\u00bf\u00a1"
OPENING = "\"'(\u2018\u201c\u00ab\u00bf\u00a1"
# Letters and marks by category that nobody can see: fillers and selectors (Unicode: Default_Ignorable_Code_Point).
INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]")
WORDS = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
HOST = r"[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*(?:\.[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*)*"
EMAIL = re.compile(rf"[A-Za-z0-9]+(?:[._+-]+[A-Za-z0-9]+)*@{HOST}\.[A-Za-z]+")
URL = re.compile(rf"https://{HOST}(?::[0-9]+)?(?:/~?[A-Za-z0-9][A-Za-z0-9._-]*)+")

# What the generated project installs. A test compares these three with the lock it ships.
DISTRIBUTIONS = frozenset(
    """
    accessible-pygments alabaster annotated-doc annotated-types anyio appnope ast-serialize asttokens async-timeout
    attrs babel beautifulsoup4 cachetools certifi cffi charset-normalizer click cloudpickle colorama comm contourpy
    croniter cryptography cycler dask databricks-sdk dbos debugpy deprecated detect-secrets distributed docutils
    executing fastapi fastjsonschema flatbuffers fonttools fsspec furo gitdb gitpython google-auth
    googleapis-common-protos greenlet h11 httptools idna imagesize importlib-metadata iniconfig ipykernel ipython
    ipython-pygments-lexers jedi jinja2 joblib jsonschema jsonschema-specifications jupyter-client jupyter-core
    kiwisolver librt limits locket markdown-it-py markupsafe matplotlib matplotlib-inline mdit-py-plugins mdurl
    ml-dtypes mlapi-engine mlflow-skinny msgpack mypy mypy-extensions myst-parser narwhals nbclient nbformat
    nbstripout nest-asyncio2 numpy obstore onnx onnxruntime opentelemetry-api opentelemetry-exporter-http-transport
    opentelemetry-exporter-otlp-common opentelemetry-exporter-otlp-proto-common
    opentelemetry-exporter-otlp-proto-http opentelemetry-proto opentelemetry-sdk opentelemetry-semantic-conventions
    packaging parso partd pathspec pexpect pillow platformdirs pluggy pooch prometheus-client prompt-toolkit
    protobuf psutil psycopg psycopg-binary ptyprocess pure-eval pyarrow pyasn1 pyasn1-modules pycparser pydantic
    pydantic-core pydantic-settings pygments pyjwt pyparsing pytest pytest-randomly python-dateutil python-dotenv
    python-multipart pyyaml pyzmq redis referencing requests roman-numerals rpds-py ruff scikit-learn scipy six
    skl2onnx smmap snowballstemmer sortedcontainers soupsieve sphinx sphinx-basic-ng sphinx-copybutton sphinx-intl
    sphinxcontrib-applehelp sphinxcontrib-devhelp sphinxcontrib-htmlhelp sphinxcontrib-jsmath sphinxcontrib-qthelp
    sphinxcontrib-serializinghtml sqlalchemy sqlparse stack-data starlette tblib threadpoolctl toolz tornado tqdm
    traitlets typing-extensions typing-inspection tzdata urllib3 uvicorn uvloop wcwidth wrapt zict zipp
    """.split()
)
MODULES = frozenset(
    """
    a11y_pygments alabaster annotated_doc annotated_types anyio ast_serialize asttokens attr attrs babel blinker
    boto3 botocore bs4 cachetools certifi cffi charset_normalizer click cloudpickle colorama comm contourpy croniter
    cryptography cycler dask databricks dateutil dbos debugpy deprecated detect_secrets distributed docutils dotenv
    executing fastapi fastjsonschema flask flask_cors flatbuffers fsspec furo git gitdb google greenlet h11
    hatchling httpcore httpcore2 httptools httpx httpx2 idna imagesize importlib_metadata iniconfig ipykernel
    ipykernel_launcher ipython_pygments_lexers itsdangerous jedi jinja2 jmespath joblib jsonschema
    jsonschema_specifications jupyter jupyter_client jupyter_core jwt kiwisolver librt limits locket markdown_it
    markupsafe matplotlib matplotlib_inline mdit_py_plugins mdurl ml_dtypes mlapi mlflow moto mpl_toolkits msgpack
    multipart mypy mypy_extensions mypyc myst_parser narwhals nbclient nbformat nbstripout nest_asyncio2 numpy
    obstore onnx onnxruntime opentelemetry packaging parso partd pathspec pexpect pip pkg_resources platformdirs
    pluggy pooch prometheus_client prompt_toolkit psutil psycopg psycopg_binary ptyprocess pure_eval py
    py_partiql_parser pyarrow pyasn1 pyasn1_modules pycparser pydantic pydantic_core pydantic_settings pygments
    pylab pyparsing pytest pytest_randomly python_multipart redis referencing requests responses roman_numerals rpds
    ruff s3transfer scipy setuptools six skl2onnx sklearn smmap snowballstemmer sortedcontainers soupsieve sphinx
    sphinx_basic_ng sphinx_copybutton sphinx_intl sphinxcontrib sqlalchemy sqlparse stack_data starlette tblib
    threadpoolctl tlz toolz tornado tqdm traitlets truststore typing_extensions typing_inspection tzdata urllib3
    uvicorn uvloop wcwidth werkzeug wrapt xmltodict yaml zict zipp zmq
    """.split()
)
COMMANDS = frozenset(
    """
    activate backend-test-tools bash cffi-gen-src check-model check-node dask dbos debugpy debugpy-adapter
    detect-secrets detect-secrets-hook dmypy docker docutils dotenv f2py fastapi flask fonttools git httpx httpx2
    idna ipython ipython3 jsonschema jupyter jupyter-execute jupyter-kernel jupyter-kernelspec jupyter-migrate
    jupyter-run jupyter-troubleshoot jupyter-trust make markdown-it mlapi mlflow mypy mypyc myst-anchors
    myst-docutils-demo myst-docutils-html myst-docutils-html5 myst-docutils-latex myst-docutils-pseudoxml
    myst-docutils-xml myst-inv nbstripout normalizer npm numpy-config pip pip3 pybabel pyftmerge pyftsubset
    pygmentize pytest python python3 rst2html rst2html4 rst2html5 rst2latex rst2man rst2odt rst2pseudoxml rst2s5
    rst2xetex rst2xml ruff sphinx-apidoc sphinx-autogen sphinx-build sphinx-intl sphinx-quickstart sqlformat stubgen
    stubtest sudo test tqdm ttx uvicorn uvx
    """.split()
)
# Modules that only some of the Python versions have that a generated project runs on.
SOMETIMES_STANDARD = frozenset(
    """
    aifc annotationlib asynchat asyncore audioop cgi cgitb chunk compression crypt distutils imghdr imp lib2to3 mailcap
    msilib nis nntplib ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib uu xdrlib
    """.split()
)
STANDARD = sys.stdlib_module_names | SOMETIMES_STANDARD
KEYWORDS = frozenset([*(word.lower() for word in keyword.kwlist), *keyword.softkwlist, "type"])
# Folders of the project, the template itself, and file names that Windows keeps for devices.
RESERVED = frozenset(
    [
        *("benchmarks", "conftest", "docs", "mlapi", "package_name", "python", "src", "test", "tests"),
        *("aux", "con", "nul", "prn", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))),
    ]
)


def problems(answers: Mapping[str, object]) -> list[str]:
    """Check answers in the order of the questions; names without a rule are passed over.

    Returns one line for each bad answer, none when all are good.
    """
    return [line for name in RULES if name in answers and (line := problem(name, answers[name]))]


def problem(name: str, value: object) -> str:
    """Say in one line what is wrong with an answer and what is allowed; say nothing when it is good."""
    if name not in RULES:
        return ""
    wrong, allowed = RULES[name](value) if isinstance(value, str) else ("is not text", "text")
    return f"{name}: {shown(value)} {wrong}. Allowed: {allowed}." if wrong else ""


def shown(value: object) -> str:
    """Quote an answer in printable characters, shortened when it is long."""
    quoted = repr(value)
    return quoted if len(quoted) <= LONGEST_QUOTE else f"{quoted[:LONGEST_QUOTE]}..."


def check_text(text: str, longest: int) -> tuple[str, str]:
    """Check free text: it must read the same in every file that it is written to."""
    allowed = (
        f"1 to {longest} characters: letters of any script, digits, single spaces, {PUNCTUATION}"
        " and typographic quotes and dashes"
        " (first a letter, digit or opening mark, _ only inside a word, # only at its end)"
    )
    return text_fault(text, longest), allowed


def text_fault(text: str, longest: int) -> str:
    """Name the first fault of a text, or nothing."""
    strange = next((char for char in text if not ordinary(char)), "")
    if strange:
        return f"holds {strange!a} (U+{ord(strange):04X})"
    faults = {
        "holds no letter or digit": not any(map(str.isalnum, text)),
        f"has {len(text)} characters": len(text) > longest,
        "begins or ends with a blank, or has two in a row": text != " ".join(text.split()),
        "holds letters in decomposed form (Unicode NFC is the composed one)": unicodedata.normalize("NFC", text)
        != text,
        f"begins with {text[:1]!r}": not (text[:1].isalnum() or text[:1] in OPENING),
        "begins like a numbered list": bool(re.match(r"[0-9]+[.)]( |$)", text)),
        "holds an HTML entity": html.unescape(text) != text,
        "has an underscore at the edge of a word": bool(re.search(r"\b_|_\b", text)),
        "has a # that does not follow a letter or digit": bool(re.search(r"(?<![^\W_])#", text)),
    }
    return next((fault for fault, found in faults.items() if found), "")


def ordinary(char: str) -> bool:
    """Tell whether a character may stand in free text."""
    category = unicodedata.category(char)
    readable = (category[0] in "LM" or category == "Nd") and not INVISIBLE.match(char)
    return readable or char in " " + PUNCTUATION + TYPOGRAPHY


def check_slug(text: str) -> tuple[str, str]:
    """Check the name of the project's folder, distribution and command."""
    allowed = (
        f"{SHORTEST_NAME} to {LONGEST_NAME} characters: small letters a-z, digits and single hyphens,"
        " first a letter, no name that a dependency or a common command has"
    )
    taken = DISTRIBUTIONS | COMMANDS | RESERVED
    return name_fault(text, "_", taken, "is the name of a dependency or of a common command"), allowed


def check_package(text: str) -> tuple[str, str]:
    """Check the name Python imports the package by."""
    allowed = (
        f"{SHORTEST_NAME} to {LONGEST_NAME} characters: small letters a-z, digits and single underscores,"
        " first a letter, no Python keyword, no name that Python itself or a dependency has"
    )
    taken = MODULES | STANDARD | KEYWORDS | RESERVED
    return name_fault(text, "-", taken, "is a name that is already taken"), allowed


def name_fault(text: str, forbidden: str, taken: frozenset[str], meaning: str) -> str:
    """Name the first fault of a technical name, or nothing."""
    if not text.isascii() or not WORDS.fullmatch(text) or forbidden in text:
        return "does not have the form of such a name"
    if not SHORTEST_NAME <= len(text) <= LONGEST_NAME:
        return "has 1 character" if len(text) == 1 else f"has {len(text)} characters"
    return meaning if text in taken else ""


def check_email(text: str) -> tuple[str, str]:
    """Check an email address: the plain form only."""
    good = len(text) <= LONGEST_EMAIL and EMAIL.fullmatch(text)
    return "" if good else "is not a plain email address", "one address such as ada.lovelace@example.com"


def check_url(text: str) -> tuple[str, str]:
    """Check the web address of the repository."""
    allowed = (
        f"an https address of at most {LONGEST_URL} letters a-z, digits and . _ ~ - with a path,"
        " such as https://gitlab.com/group/project (no .git, no slash at the end)"
    )
    good = len(text) <= LONGEST_URL and URL.fullmatch(text) and not text.endswith(".git")
    return "" if good else "is not such a web address", allowed


def check_choice(text: str, choices: tuple[str, ...]) -> tuple[str, str]:
    """Check an answer to a question with fixed choices."""
    return "" if text in choices else "is not a choice", ", ".join(choices)


RULES: Mapping[str, Callable[[str], tuple[str, str]]] = {
    "problem": partial(check_choice, choices=CHOICES["problem"]),
    "project_name": partial(check_text, longest=60),
    "project_slug": check_slug,
    "package_name": check_package,
    "description": partial(check_text, longest=200),
    "author_name": partial(check_text, longest=100),
    "author_email": check_email,
    "repository_url": check_url,
    **{name: partial(check_choice, choices=choices) for name, choices in CHOICES.items()},
}


def main() -> int:
    """Print the first problem: what follows from it (a name derived from a bad one) is noise."""
    # tojson writes ASCII and puts a backslash before every quote of an answer, so no answer can end this literal.
    found = problems(json.loads(r"""{{ cookiecutter | tojson }}"""))
    for line in found[:1]:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

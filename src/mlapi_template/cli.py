"""The command line: `mlapi new`. What it does is in template.py; here it is only called, and talked about."""

import argparse
import difflib
import json
import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mlapi_template import __version__
from mlapi_template.ask import ask
from mlapi_template.errors import CommandError, UsageError
from mlapi_template.template import Question, Template, answered, find, free, generate, library, load
from mlapi_template.terminal import BOLD, RED, say, styled

INTERRUPTED = 130
EXAMPLES = """\
examples:
  mlapi new
  mlapi new --no-input project_name="Wine quality" license=Apache-2.0
  mlapi new --no-input --answers wine-quality/.mlapi.json --output-dir newer
  cd "$(mlapi new --no-input)"

Without --no-input it asks for every answer that is not given.
It never writes into a folder that exists. The new folder's path goes to stdout, everything else to stderr.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 fault, 2 wrong usage, 130 stopped by the user."""
    try:
        arguments = parsed(argv)
        project = new(arguments.answers, arguments.answers_file, arguments.output_dir, no_input=arguments.no_input)
    except CommandError as error:
        for line in error.args:
            say(f"{styled('mlapi:', RED)} {line}")
        return error.exit_code
    except (KeyboardInterrupt, EOFError):
        say("\nmlapi: stopped, nothing was written")
        return INTERRUPTED
    sys.stdout.buffer.write(os.fsencode(project) + b"\n")  # a path need not be text
    return 0


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments; options may stand before, between and after the answers."""
    arguments, rest = parser().parse_known_args(argv)
    unknown = [argument for argument in rest if argument.startswith("-")]
    if unknown:
        arguments.usage_error(f"unrecognized arguments: {' '.join(unknown)}")
    arguments.answers += rest
    return arguments


def parser() -> argparse.ArgumentParser:
    """Describe the commands and their options, for reading them here and for the handbook's reference."""
    described = argparse.ArgumentParser(
        prog="mlapi", description="Write a machine-learning service, served over HTTPS."
    )
    versions = f"mlapi {__version__} (mlapi-engine {library(find())})"
    described.add_argument("--version", action="version", version=versions)
    commands = described.add_subparsers(dest="command", metavar="COMMAND", required=True)
    command = commands.add_parser(
        "new",
        help="write a new project",
        description="Write a new project from the template that this command carries. Works offline.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "answers", nargs="*", metavar="NAME=VALUE", help="the answer to a question, such as license=MIT"
    )
    command.add_argument(
        "--answers",
        dest="answers_file",
        type=Path,
        metavar="FILE",
        help="take answers from here: the .mlapi.json of a project that was written before",
    )
    command.add_argument(
        "--output-dir", default=Path(), type=Path, metavar="DIR", help="where the project's folder goes"
    )
    command.add_argument("--no-input", action="store_true", help="ask nothing: take the default of what is not given")
    command.set_defaults(usage_error=command.error)
    return described


def new(words: Iterable[str], answers_file: Path | None, output_dir: Path, *, no_input: bool) -> Path:
    """Write a new project and return its path. An answer among `words` goes before that of the file.

    Raises UsageError for wrong answers and for a folder that exists, Fault when writing fails.
    """
    template = load()
    kept = kept_answers(answers_file, template.questions) if answers_file else {}
    given = kept | given_answers(words, template.questions)
    refuse_problems(template, given)
    answers = all_answers(template, given, output_dir, no_input=no_input)
    refuse_problems(template, answers)
    free(output_dir / answers["project_slug"])
    describe(answers)
    project = generate(template, answers, output_dir)
    say_next(project)
    return project


def given_answers(words: Iterable[str], questions: Mapping[str, Question]) -> dict[str, str]:
    """Read NAME=VALUE words.

    Raises UsageError for a word of another form, an unknown name and a name given twice.
    """
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"{word!r} is not of the form NAME=VALUE")
        if name not in questions:
            raise UsageError(f"there is no question {name!r}{meant_instead(name, questions)}")
        if name in given:
            raise UsageError(f"{name} is given twice")
        given[name] = value
    return given


def kept_answers(path: Path, questions: Mapping[str, Question]) -> dict[str, str]:
    """Read the answers that a project was written with.

    Raises UsageError for a file that holds none, and for a question that there is not, or not any more.
    """
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not JSON'}") from None
    if not isinstance(kept, dict) or not all(isinstance(value, str) for value in kept.values()):
        raise UsageError(f"{path} must hold an object with a text for each answer")
    if unknown := kept.keys() - questions.keys():
        raise UsageError(f"{path} answers what is not asked: {', '.join(sorted(unknown))}. Take it out of the file")
    return kept


def meant_instead(name: str, questions: Iterable[str]) -> str:
    """Name the question that was probably meant, or else all of them."""
    close = difflib.get_close_matches(name, questions, n=1)
    return f": did you mean {close[0]}?" if close else f". The questions are {', '.join(questions)}"


def refuse_problems(template: Template, answers: Mapping[str, str]) -> None:
    """Raise UsageError with one line for each bad answer, if there is any."""
    lines = [line for name, value in answers.items() if (line := template.problem(name, value))]
    if lines:
        raise UsageError(*lines)


def all_answers(template: Template, given: Mapping[str, str], output_dir: Path, *, no_input: bool) -> dict[str, str]:
    """Complete the answers by the defaults, or by asking at the terminal.

    Raises UsageError when there is nobody to ask, EOFError when the input ends.
    """

    def problem(name: str, value: str) -> str:
        return template.problem(name, value) or (taken(output_dir / value) if name == "project_slug" else "")

    if no_input:
        return answered(template, given, lambda _, default: default)
    if not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask at: add --no-input, and NAME=VALUE for what differs from the defaults"
        )
    return answered(template, given, lambda question, default: ask(question, default, problem))


def taken(target: Path) -> str:
    """Say in one line why a project cannot be written there, or nothing."""
    try:
        free(target)
    except UsageError as error:
        return str(error)
    return ""


def describe(answers: Mapping[str, str]) -> None:
    """Show what is about to be written."""
    width = max(map(len, answers))
    for name, value in answers.items():
        say(f"  {name:{width}}  {value}")


def say_next(project: Path) -> None:
    """Tell what was written and which commands come next."""
    count = sum(len(files) for _, _, files in os.walk(project))
    say(f"\nWrote {count} files to {project}. Next:\n")
    folder = shlex.quote(str(project.relative_to(Path.cwd()) if project.is_relative_to(Path.cwd()) else project))
    for step in (f"cd {folder}", "make serve   # trains a first model, then serves it over HTTPS", "make test"):
        say(f"  {styled(step, BOLD)}")
    say()

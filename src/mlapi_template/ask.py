"""Ask a person at a terminal, and ask again until the answer is good."""

from collections.abc import Callable

from mlapi_template.template import Question
from mlapi_template.terminal import BOLD, RED, say, styled


def ask(question: Question, default: str, problem: Callable[[str, str], str]) -> str:
    """Return a good answer to the question; an empty line takes the default, where that is good itself.

    `problem(name, value)` says in one line what is wrong with an answer. Raises EOFError when the input ends.
    """
    if len(question.choices) == 1:
        return default  # nothing to choose
    offered = "" if problem(question.name, default) else default
    put(question, offered)
    while True:
        say("> ", end="")
        answer = meant(question, input()) or offered
        wrong = problem(question.name, answer)
        if not wrong:
            return answer
        say(f"  {styled(wrong, RED)}")


def put(question: Question, offered: str) -> None:
    """Show a question, its choices and what an empty line would answer."""
    default = f" [{offered}]" if offered else ""
    say(f"{styled(question.prompt, BOLD)}{default}")
    for number, label in enumerate(question.choices.values(), start=1):
        say(f"  {number}  {label}")


def meant(question: Question, typed: str) -> str:
    """Return the choice a number stands for; anything else is meant as it is typed."""
    numbered = dict(enumerate(question.choices, start=1))
    return numbered.get(int(typed), typed) if typed.isascii() and typed.isdigit() else typed

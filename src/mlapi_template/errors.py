"""What the command says when it cannot do what was asked: one clear line for each fault, and an exit code.

CommandError
  UsageError    2: the way it was called is at fault, and another call will do
  Fault         1: something on this machine is at fault
"""


class CommandError(Exception):
    """Ends the command. Each argument is one line for the person who typed it."""

    exit_code = 1


class UsageError(CommandError):
    """The command was called in a way that cannot work."""

    exit_code = 2


class Fault(CommandError):  # noqa: N818 (the other one is called an error already)
    """The command was called rightly and failed nonetheless."""

"""The entry point: finds the verb, runs it, and turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import os
import sys

import click

from bnntrain import __version__
from bnntrain.errors import BnntrainError

EXIT_FAILURE, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

# Verb to module; loaded when called, so that `plan` does not pay for what `bench` needs.
_VERBS = {
    "fit": "fit",
    "evaluate": "evaluate",
    "predict": "predict",
    "plan": "plan",
    "summary": "summary",
    "compare": "compare",
    "bench": "bench",
    "data": "data",
    "config": "config",
    "doctor": "doctor",
    "completion": "completion",
}


class _Verbs(click.Group):
    """A group whose commands are imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of a user's work."""
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb."""
        if cmd_name not in _VERBS:
            return None
        module = importlib.import_module(f"bnntrain.cli.{_VERBS[cmd_name]}")
        return getattr(module, cmd_name)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="bnntrain")
@click.pass_context
def cli(context: click.Context) -> None:
    """Train binary neural networks on the device itself.

    Results go to standard output, progress and messages to standard error. Exit codes: 0 good,
    1 failure, 2 bad input, 130 interrupted (after a checkpoint).
    """
    if os.environ.get("NO_COLOR"):
        context.color = False


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        result = cli.main(arguments, prog_name="bnntrain", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except BnntrainError as error:
        return _fail(type(error).__name__, str(error), error.exit_code)
    except click.Abort:
        return _fail("Interrupted", "nothing was changed", EXIT_INTERRUPTED)
    except click.ClickException as error:
        return _fail("UsageError", _usage(error), EXIT_USAGE)
    except KeyboardInterrupt:
        return _fail("Interrupted", "stopped at once; the last checkpoint is valid", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE


def _fail(kind: str, message: str, code: int) -> int:
    click.echo(f"{click.style(kind, fg='red')}: {message}", err=True, color=False if _plain() else None)
    return code


def _plain() -> bool:
    return bool(os.environ.get("NO_COLOR"))


def _usage(error: click.ClickException) -> str:
    """One line: what is wrong and where the right usage stands."""
    text = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "bnntrain"
    return f"{text if text.endswith(('.', '?')) else text + '.'} See '{path} --help'"

"""The entry point: finds the verb, runs it, and turns errors into one line and an exit code."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import TYPE_CHECKING

import click

from bnntrain import __version__
from bnntrain.cli.output import echo_error
from bnntrain.cli.streams import forgive_lost_errors
from bnntrain.errors import BnntrainError, Interrupted

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

EXIT_FAILURE, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
# click 8.1 prints the help of a group without a verb by itself, later ones raise this.
_BARE_GROUP = getattr(click.exceptions, "NoArgsIsHelpError", ())

# Each verb, in the order of a user's work, is a command in the module of its name; the text is the
# first sentence of its help, written here too so that `bnntrain --help` need not import them all.
_VERBS = {
    "fit": "Train a network.",
    "evaluate": "Measure accuracy and loss of a trained network.",
    "predict": "Classify images.",
    "export": "Write a trained network into one file, to be used without its run.",
    "plan": "Show the memory of a run by variable, before it starts.",
    "summary": "Show a network's layers, parameters, operations and sizes.",
    "compare": "Train a network by several methods and compare them.",
    "report": "Write a page about runs: curves, memory, energy, comparison.",
    "bench": "Measure the speed of kernels or of a training step.",
    "energy": "Record power, calibrate a meter, list what this board has.",
    "data": "List, fetch and check data sets.",
    "config": "Show configurations, or write a copy to start from.",
    "doctor": "Examine the machine and the installation.",
    "completion": "Print a script that completes verbs and options.",
}


class _Verbs(click.Group):
    """A group whose commands are imported one at a time, when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs."""
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb."""
        if cmd_name not in _VERBS:
            return None
        module = importlib.import_module(f"bnntrain.cli.{cmd_name}")
        return getattr(module, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; for one that there is not, name the nearest."""
        if args[0] not in _VERBS and not ctx.resilient_parsing:
            import difflib  # for a mistake alone

            near = difflib.get_close_matches(args[0], _VERBS, 1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"no verb '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the verb; left to itself, click answers Ctrl-C with an empty line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted("stopped at once. What is on the disk is valid") from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer verbs and options to a shell, without importing the verbs."""
        from click.shell_completion import CompletionItem  # a shell alone asks for it

        verbs = [name for name in _VERBS if name.startswith(incomplete)]
        items = [CompletionItem(name, help=_VERBS[name]) for name in verbs]
        return items + click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
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
    forgive_lost_errors()
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        result = cli.main(arguments, prog_name="bnntrain", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except BnntrainError as error:
        return _fail(type(error).__name__, str(error), error.exit_code)
    except _BARE_GROUP as error:
        click.echo(error.ctx.get_help())
        return 0
    except (click.Abort, KeyboardInterrupt):
        return _fail("Interrupted", "nothing was changed", EXIT_INTERRUPTED)
    except click.ClickException as error:
        return _fail("UsageError", _usage(error), EXIT_USAGE)
    except MemoryError:
        message = "the system gives no more. Give a smaller --batch-size or --memory-limit"
        return _fail("MemoryLimitError", message, EXIT_USAGE)
    except OSError as error:
        return _failed_output(error)


def _failed_output(error: OSError) -> int:
    """Report what no verb foresaw; without a file name it is about our own output."""
    if error.filename is None:
        # Python would complain again when it flushes at exit.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):  # whoever read our output has had enough
        return EXIT_FAILURE
    where = "output" if error.filename is None else os.fsdecode(error.filename)
    message = f"{where}: {error.strerror or error}. Free some space, or write to another place"
    return _fail("WriteError", message, EXIT_FAILURE)


def _fail(kind: str, message: str, code: int) -> int:
    echo_error(kind, message)
    return code


def _usage(error: click.ClickException) -> str:
    """One line: what is wrong and where the right usage stands."""
    text = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "bnntrain"
    return f"{text if text.endswith(('.', '?')) else text + '.'} See '{path} --help'"

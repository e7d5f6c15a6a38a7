"""``bnntrain completion``: the script that teaches a shell the verbs and options."""

from __future__ import annotations

import os
from pathlib import PurePath

import click
from click.shell_completion import get_completion_class

from bnntrain.errors import UsageError

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", required=False, type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str | None) -> None:
    """Print a script that completes verbs and options.

    Without SHELL it is for the one that $SHELL names. To install it, for good from the next shell:

    \b
      bash  add to ~/.bashrc:  eval "$(bnntrain completion bash)"
      zsh   add to ~/.zshrc:   eval "$(bnntrain completion zsh)"
      fish  bnntrain completion fish > ~/.config/fish/completions/bnntrain.fish
    """
    name = shell or PurePath(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise UsageError(
            f"$SHELL is none of {', '.join(SHELLS)}. Say which, as in: bnntrain completion bash"
        )
    # The variable by which click, in `main`, knows that a shell is asking.
    script = get_completion_class(name)(
        context.find_root().command, {}, "bnntrain", "_BNNTRAIN_COMPLETE"
    )
    click.echo(script.source())

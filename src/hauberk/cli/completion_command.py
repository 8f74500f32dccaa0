"""`hauberk completion`: the shell's completion script."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    r"""Print the completion script of SHELL.

    \b
    bash:  hauberk completion bash > ~/.local/share/bash-completion/completions/hauberk
    zsh:   hauberk completion zsh  > "${fpath[1]}/_hauberk"
    fish:  hauberk completion fish > ~/.config/fish/completions/hauberk.fish
    """
    from hauberk.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "hauberk", "_HAUBERK_COMPLETE").source())

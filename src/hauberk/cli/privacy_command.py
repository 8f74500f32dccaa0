"""`hauberk privacy`: what the model gives away of its training data, and training that gives away less."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "audit": "tell who was in the training data: a project, or an .npz of any model's answers",
    "leakage": "hidden columns, typical inputs of classes, examples in gradients",
    "memorisation": "training records in what a model generated or retrieved",
    "epsilon": "what a private training run costs, before it is run",
    "noise": "the least noise that keeps a promise",
    "train": "train the project's model with differential privacy, on the record",
    "statement": "what was spent on the project's data so far, in plain words",
}
"""Subcommand → one line. Its module is `hauberk.cli.privacy_<name>`, imported only when it is called."""


class Subcommands(click.Group):
    """Subcommands by name, imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the subcommands in the order a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a subcommand's module and return its command."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"hauberk.cli.privacy_{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the subcommands from the table, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group("privacy", cls=Subcommands)
def command() -> None:
    """Measure what the model gives away of its training data.

    \b
    hauberk privacy audit                     this project's model
    hauberk privacy audit answers.npz         a model of any framework, by what it answered
    hauberk privacy train --epsilon 3         training that gives away less, with its account
    """

"""The entry point: a table of commands, each imported only when its name is on the command line."""

from __future__ import annotations

import importlib
import os
import sys
import traceback

import click

from hauberk.core.errors import HauberkError
from hauberk.core.version import __version__

COMMANDS = {
    "init": "look at the project and write hauberk.toml",
    "check": "scan and attack the project, judge it against its policy",
    "scan": "look for what is wrong in files, running nothing",
    "attack": "attack the model and measure how it holds",
    "harden": "train a harder model and measure before and after",
    "privacy": "measure what the model gives away of its training data",
    "patch": "propose the smallest safe upgrades of vulnerable dependencies",
    "update": "refresh the advisories that scan holds dependencies against",
    "data": "audit a data set, repair it into a new file, measure its drift",
    "seal": "sign what a model file or a folder consists of",
    "unseal": "decrypt what `seal --encrypt` encrypted",
    "verify": "hold a file or a folder against its seal",
    "watch": "run audits on a schedule and say what is new",
    "report": "write a past run's report again, or compare two runs",
    "evidence": "list, show, verify and prove what was measured",
    "list": "list the catalogues: attacks, defenses, rules, formats …",
    "completion": "print the shell's completion script",
}
"""Command → one line. Its module is `hauberk.cli.<name>_command`."""

CLOSED_PIPE = 141
"""What a shell shows for a program that a closed pipe ended."""

EPILOG = """\b
Start here:
  hauberk init        in your project's folder
  hauberk check       scan, attack, judge; exit status 0 met, 1 not met,
                      2 usage, 3 could not be measured
"""


class Commands(click.Group):
    """Commands by name, imported on first use so that `--help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the commands in the order a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command's module and return its command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"hauberk.cli.{cmd_name}_command")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands from the table, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Offer the nearest command where a name is not known."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from hauberk.core.errors import nearest

            raise click.UsageError(f'no command "{args[0]}"; {nearest(args[0], COMMANDS)}', ctx) from error


@click.group(
    cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, message="hauberk %(version)s")
def cli() -> None:
    """Security for machine-learning projects in one tool.

    Scan the project, attack the model, harden it, and keep signed evidence of every number.
    Nothing is sent anywhere, and no network is used that you did not name.
    """


def main() -> None:
    """Run the command line; a fault of ours or yours is one clear message and an exit status."""
    # Threads that spin while they wait make a busy machine many times slower; OpenMP reads this when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        status = cli.main(standalone_mode=False)
    except HauberkError as error:
        click.echo(f"hauberk: {error}", err=True)
        sys.exit(error.exit_status)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except BrokenPipeError:
        # Whoever read us has read enough; Python must not complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(CLOSED_PIPE)
    except (click.Abort, KeyboardInterrupt):
        click.echo("hauberk: stopped; nothing was lost that had been acknowledged", err=True)
        sys.exit(3)
    except Exception as error:  # noqa: BLE001 - the interpreter would exit with 1, which means "not met"
        traceback.print_exception(error)
        click.echo("hauberk: a fault of its own; please report the lines above", err=True)
        sys.exit(3)
    sys.exit(status if isinstance(status, int) else 0)

"""The command line, `serverless-pypi`: which commands there are, and the module of each.

A command's module is imported when it is called, or when its help is shown. It says what the command accepts and what a
person reads of its result; what it does is `pypi_lambda.manage`'s, and where that is carried out
`pypi_lambda.terminal.place`'s.

Click's documentation: "Complex Applications", "Shell Completion".
"""

from collections.abc import Mapping
from importlib import import_module

import click

from pypi_lambda import __version__

# By heading of the help, each command's place below this package.
SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Serve": {
        "serve": "serve:serve",
        "set-up": "serve:set_up",
    },
    "Files and projects": {
        "upload": "upload:upload",
        "yank": "files:yank",
        "unyank": "files:unyank",
        "remove": "files:remove",
        "restore": "files:restore",
        "project": "projects:project",
        "reserve": "names:reserve",
        "unreserve": "names:unreserve",
        "reserved": "names:reserved",
    },
    "Users": {
        "user": "users:user",
        "token": "tokens:token",
    },
    "What may enter": {
        "why": "why:why",
    },
    "Moving in": {
        "adopt": "migrate:adopt",
        "import": "migrate:import_",
    },
    "Upkeep": {
        "log": "audit:log",
        "reindex": "index:reindex",
        "rebuild": "index:rebuild",
        "verify": "upkeep:verify",
        "stats": "upkeep:stats",
        "gc": "upkeep:gc",
    },
}


class Program(click.Group):
    """The commands by heading, each imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, in the order of the help."""
        return [name for section in SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or None."""
        places = {name: place for section in SECTIONS.values() for name, place in section.items()}
        if cmd_name not in places:
            return None
        module, _, attribute = places[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"pypi_lambda.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands into the help, heading by heading."""
        width = max(map(len, self.list_commands(ctx)))
        for heading, section in SECTIONS.items():
            commands = ((name, self.get_command(ctx, name)) for name in section)
            rows = [
                (name.ljust(width), command.get_short_help_str(limit=formatter.width - width - 6))
                for name, command in commands
                if command is not None and not command.hidden
            ]
            with formatter.section(heading):
                formatter.write_dl(rows)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="serverless-pypi")
def main() -> None:
    """A private Python package index over one bucket or folder.

    Commands work on the store itself (--bucket), or have the Lambda function carry them out (--function).
    """

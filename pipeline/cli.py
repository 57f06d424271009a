"""The `spanwise` command: a table of commands, loaded only when called, so that `--help` answers at once."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Any, NoReturn

import click

from components.errors import ExitCode, SpanwiseError, UsageError, told
from pipeline import __version__
from pipeline.console import open_streams, say
from serving.ending import as_process

# name -> one line of help. A command lives in pipeline/commands/<name>.py as `command`.
COMMANDS = {
    "run": "Run the pipeline on a span: check the data, train, evaluate, push.",
    "check": "Run the gate alone on any two Parquet or CSV files.",
    "predict": "Answer every row of a file with the model that serves.",
    "skew": "Hold what serving saw (request logs) against what the model was trained on.",
    "report": "Write what a run saw as one HTML file; of itself at the end of each run.",
    "waive": "Let one finding pass for a time, with a last day and a reason.",
    "data": "Lay out a data set's spans (`spanwise data flights`).",
    "schema": "Compare the committed schema with what a span looks like, or accept it.",
    "serve": "Serve pushed models with TensorFlow Serving's protocol, gRPC and REST.",
    "compile": "Write the pipeline as a file for Kubeflow Pipelines or Vertex.",
    "submit": "Run the pipeline for one span on Kubeflow Pipelines or Vertex.",
    "history": "What became of each span: verdicts, metrics, drift, versions pushed and rolled back.",
    "backtest": "Model quality month by month, with day-clustered intervals.",
    "rollback": "Publish an earlier version again under a new, higher number.",
    "gc": "Delete old versions, statistics and runs that nothing points to.",
    "doctor": "Check this machine: versions, TensorFlow, disk, memory, write access.",
}


class LazyGroup(click.Group):
    """A click group whose commands are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"pipeline.commands.{cmd_name}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click, with near misses in the error."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else f" Commands: {', '.join(COMMANDS)}."
            raise click.UsageError(f"no command '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="spanwise")
@click.option("--verbose", is_flag=True, help="Show tracebacks.")
@click.pass_context
def cli(ctx: click.Context, verbose: bool) -> None:
    """A TFX pipeline that runs in about a minute, refuses bad data, and serves what it pushed.

    Exit codes: 0 done, 1 failed, 2 wrong usage or project file, or a file that cannot be used, 10 data blocked,
    11 model not blessed, 12 serving check failed, 130 stopped by Ctrl-C or SIGTERM.
    """
    ctx.obj = {"verbose": verbose}


def _hold_current_folder() -> None:
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise UsageError("the current folder has been deleted. Change to another.") from error


def run() -> NoReturn:
    """`spanwise`: `main` as a process of its own."""
    as_process(main)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit; a mistake in data or configuration is a sentence, never a traceback."""
    arguments = sys.argv[1:] if arguments is None else arguments
    open_streams()
    try:
        _hold_current_folder()
        code = cli.main(args=arguments, prog_name="spanwise", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else ExitCode.DONE)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(ExitCode.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except SpanwiseError as error:
        if "--verbose" in arguments:
            traceback.print_exc()
        say(f"spanwise: {error}", sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if "--verbose" in arguments:
            traceback.print_exc()
        say(f"spanwise: {told(error)}", sys.stderr)
        sys.exit(ExitCode.FAILED)
    except Exception as error:
        if "--verbose" in arguments:
            traceback.print_exc()
        say(
            f"spanwise: {type(error).__name__}: {error}\n  This is a fault in Spanwise or its set-up; "
            "`spanwise --verbose ...` shows where, `spanwise doctor` checks the set-up.",
            sys.stderr,
        )
        sys.exit(ExitCode.FAILED)

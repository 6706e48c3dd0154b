"""The command `pointspider`. Every module of `pointspider.cli.commands` is a command of its name.

A module has a docstring, whose first line is the help, and the functions `add_arguments(parser)` and
`run(options)`. It is imported for `pointspider --help`, so it imports NumPy, PyTorch and Mitsuba in `run`.
"""

import argparse
import importlib
import os
import pkgutil
import sys
from pathlib import Path

from pointspider.cli import commands
from pointspider.core.errors import InputError
from pointspider.core.extras import missing


def main(arguments: list[str] | None = None) -> None:
    """Run a command. Bad input prints one line and exits with code 1; a closed pipe exits silently."""
    options = _parser().parse_args(arguments)
    try:
        if options.configfile is not None:
            _check_configfile(options.configfile)
        options.run(options)
        sys.stdout.flush()  # a closed pipe is noticed here, not when Python exits
    except InputError as error:
        sys.exit(f"pointspider: {error}")
    except ModuleNotFoundError as error:
        sys.exit(f"pointspider: {missing(error.name or '')}")
    except BrokenPipeError:
        # Python flushes again at exit, and that must not fail (documentation of `signal`, "Note on SIGPIPE")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _check_configfile(path: Path) -> None:
    """Report a broken file before anything runs, also to commands that may not need it."""
    from pointspider.study.config.load import read_layer

    read_layer(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pointspider", description="Render, embed and search point clouds, and find duplicates."
    )
    parser.add_argument("--configfile", type=Path, help="a preset, as given to snakemake")
    parser.add_argument("--project", type=Path, default=Path(), help="checkout with params.yaml and results/")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in pkgutil.iter_modules(commands.__path__):
        command = importlib.import_module(f"{commands.__name__}.{module.name}")
        summary = (command.__doc__ or "").partition("\n")[0]
        subparser = subparsers.add_parser(module.name, help=summary, description=command.__doc__)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser

"""The command line: `terramend COMMAND ...`.

Only the module of the command that runs is imported, so that `--help` and `doctor`
answer at once and everywhere. Standard output is for results; progress, notices and
errors go to standard error.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import importlib
import importlib.util
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

from .errors import TerramendError
from .failure import logged
from .flow import is_left_working
from .terminal import Terminal
from .version import VERSION
from .watch import Watch


@dataclass(frozen=True)
class Command:
    """A line of help, and the module with `add_arguments(parser)` and `main(arguments, watch)`.

    `main` returns its exit status, the object that `--json` prints, or None.
    """

    help: str
    module: str


COMMANDS = {
    "fill": Command("fill the gaps of a raster", "commands.fill"),
    "clear": Command("remove haze and thin cloud from a whole image", "commands.fill"),
    "inspect": Command("report gaps, inputs and chosen method without writing a file", "commands.fill"),
    "accuracy": Command(
        "estimate the accuracy of a fill from hidden valid pixels of the scene", "commands.accuracy"
    ),
    "mask": Command(
        "make a gap mask from quality bands, cloud probabilities, nodata or polygons", "commands.mask"
    ),
    "batch": Command("fill all rasters of a table or a folder", "batch"),
    "models": Command("list the reconstruction methods, or install network weights", "commands.models"),
    "evaluate": Command("benchmark methods on scenes with known ground truth", "evaluation.command"),
    "fetch": Command("prepare training data: Landsat-8 scenes with elevation models", "fetch.command"),
    "train": Command("train a network", "training.command"),
    "sample": Command("draw samples from a trained diffusion model", "training.sample_command"),
    "export": Command(
        "package a trained network for distribution (half precision, SHA-256 manifest)",
        "training.export_command",
    ),
    "experiment": Command("reproduce the experiment of a paper", "experiments.command"),
    "doctor": Command("report installed packages, working processors and effective settings", "doctor"),
    "serve": Command("run the JSON-RPC server of the plugin on standard input and output", "server"),
}
"""Offered where their module is there: a zip for QGIS has no research commands."""

IMPORT = "<frozen importlib._bootstrap>"
"""How Python calls the code that imports modules."""
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""What asks a run to stop, where the system has it."""


class Once(argparse._StoreAction):
    """An option with one value, which is given once: of several argparse would silently take the last.

    `several`: what to do with more than one value.
    """

    def __init__(self, *words: Any, several: str = "give it once", **settings: Any) -> None:
        super().__init__(*words, **settings)
        self.several = several

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        """Keep the value. Raises `command.option` where there is one already."""
        if getattr(namespace, self.dest, self.default) is not self.default:
            why = f"it takes one value; {self.several}"
            raise TerramendError("command.option", option=option_string, why=why)
        super().__call__(parser, namespace, values, option_string)


class Parser(argparse.ArgumentParser):
    """Argparse whose faults are errors with one sentence, and which takes no option cut short or twice."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False)  # of subcommands too, which argparse makes itself
        self.register("action", None, Once)

    def error(self, message: str) -> NoReturn:
        """Raise `command.usage`."""
        why = message.removeprefix("argument ")
        if why.endswith("required: TARGET"):  # of `--std scene.tif`, which may take a name
            why += ", which comes first: an option before it may have taken it"
        raise TerramendError("command.usage", why=why[:1].upper() + why[1:], command=self.prog)


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit status; what it cannot do is said in one sentence."""
    if argv is not None:
        return _main(argv)
    atexit.register(_ignore_signals)  # the first one is called last
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # who started us closed it: no other file may get its number
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):  # a terminal that has no sign for a character of a path
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    status = _main(sys.argv[1:], alone=True)
    if is_left_working():
        sys.stderr.flush()
        os._exit(status)
    return status


def _main(argv: list[str], alone: bool = False) -> int:
    terminal = Terminal(sys.stderr)
    watch = Watch(on_progress=terminal.progress, on_notice=terminal.notice)
    try:
        with _cancelling(watch, alone):
            status = _run(argv, watch)
            sys.stdout.flush()
            return status
    except SystemExit as end:  # --help, --version
        return end.code if isinstance(end.code, int) else 1
    except BrokenPipeError:  # what is printed comes last: the work is done
        _output_left()
        return 0
    except BaseException as failure:
        terminal.close()
        error = logged(failure)
        terminal.say(f"terramend: {error}")
        try:
            if "--json" in argv:
                print_json({"error": error.to_json()})
            sys.stdout.flush()
        except OSError:  # the output itself is what failed: Python would try again at its end, and say so
            _output_left()
        return error.exit_status
    finally:
        terminal.close()


def print_json(value: Any) -> None:
    """One JSON object on standard output; NaN and infinity become null."""
    from .protocol import finite

    print_text(json.dumps(finite(value), indent=2, allow_nan=False))


def print_text(text: str) -> None:
    """Lines on standard output, for commands with a status of their own: it stays where nobody reads."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _output_left()


def _output_left() -> None:
    """The output takes no more, such as when its reader left: nothing more is written to it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def available() -> dict[str, Command]:
    """The commands whose module is there."""
    return {name: command for name, command in COMMANDS.items() if _spec(command.module)}


def parser_of(name: str) -> Parser:
    """The parser of one command."""
    command = available()[name]
    sentence = command.help[:1].upper() + command.help[1:] + "."
    parser = Parser(prog=f"terramend {name}", description=sentence)
    parser.set_defaults(command=name)
    importlib.import_module("." + command.module, __package__).add_arguments(parser)
    return parser


def join_negatives(argv: list[str]) -> list[str]:
    """`--extent -1,2,3,4` as `--extent=-1,2,3,4`: argparse takes a leading minus for an option."""
    joined: list[str] = []
    for word in argv:
        if joined and re.match(r"-\.?\d", word) and re.fullmatch(r"--[a-z][a-z-]*", joined[-1]):
            joined[-1] += "=" + word
        else:
            joined.append(word)
    return joined


def _run(argv: list[str], watch: Watch) -> int:
    commands = available()
    if not argv or argv[0] in ("-h", "--help"):
        print(_overview(commands), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"terramend {VERSION}")
        return 0
    if argv[0] not in commands:
        raise TerramendError("command.absent", command=argv[0], known=", ".join(commands))
    arguments = parser_of(argv[0]).parse_args(join_negatives(argv[1:]))
    module = importlib.import_module("." + commands[argv[0]].module, __package__)
    told: int | dict[str, Any] | None = module.main(arguments, watch)
    if isinstance(told, int):
        return told
    if told is not None and arguments.json:
        print_json(told)
    return 0


def _overview(commands: dict[str, Command]) -> str:
    lines = ["usage: terramend COMMAND ...  (terramend COMMAND --help tells more)", ""]
    lines += [f"  {name:12} {command.help}" for name, command in commands.items()]
    return "\n".join(lines)


def _spec(module: str) -> bool:
    try:
        return importlib.util.find_spec("." + module, __package__) is not None
    except ModuleNotFoundError:  # not even its package
        return False


@contextlib.contextmanager
def _cancelling(watch: Watch, alone: bool) -> Iterator[None]:
    """The first signal asks the run to stop and clean up, the second one stops it.

    Of a process of its own (`alone`) this stays so: what is done by then is not called killed
    because of a signal that comes while the interpreter tidies up.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked and not _imports(frame):
            raise KeyboardInterrupt
        asked = True
        watch.cancel()

    names = [name for name in SIGNALS if hasattr(signal, name)]
    if "SIGHUP" in names and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        names.remove("SIGHUP")  # begun by nohup, to outlive the terminal
    before = {name: signal.signal(getattr(signal, name), handle) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items() if not alone else ():
            signal.signal(getattr(signal, name), handler)


def _imports(frame: FrameType | None) -> bool:
    """Whether a module is being imported in a frame or in those that called it.

    One that is broken off leaves half a library: it may fail anywhere, or end the process by the signal.
    """
    while frame is not None and frame.f_code.co_filename != IMPORT:
        frame = frame.f_back
    return frame is not None


def _ignore_signals() -> None:
    """The last of our own code: from here on Python would let every signal kill it."""
    for name in SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)

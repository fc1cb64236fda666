"""The command line: verbs, exit codes (`codes`), and errors as one line."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

import tyro

from lookalike import __version__
from lookalike.cli import lab as lab_room
from lookalike.cli import show
from lookalike.cli.agree import agree
from lookalike.cli.audit import audit
from lookalike.cli.codes import INTERRUPTED, MEANING, NOBODY_READS, USAGE
from lookalike.cli.lab import lab
from lookalike.cli.losses import losses
from lookalike.cli.metrics import metrics
from lookalike.cli.report import report
from lookalike.cli.ruler import ruler
from lookalike.cli.score import score
from lookalike.cli.study import study
from lookalike.cli.view import view
from lookalike.cli.weights import weights

VERBS = (score, ruler, metrics, losses, audit, study, lab, report, view, agree, weights)
DESCRIPTION = f"""One ruler for image similarity. Every command takes the reference first, then the image judged.

{MEANING}"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: of the command line, without the program's name; None takes this process's.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # A file's name need not be text in the terminal's encoding; it is shown escaped, never a reason to fail.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    # Read when torch is loaded. Its threads wait for one another by spinning, and where other programs want the
    # processors too, one that spins keeps away the one it waits for: a pair of images took 37 s instead of 4 s.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    interrupted = _Interrupted()
    try:
        with interrupted:
            code = _run(arguments)
            sys.stdout.flush()
            return code
    except BrokenPipeError:
        _forget_stdout()
        return NOBODY_READS
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if interrupted.seen:  # what a module that was being imported made of it
            return INTERRUPTED
        if not isinstance(error, ValueError | TypeError | OSError | ImportError):
            raise
        said = show.visible(" ".join(str(error).split()))
        print(f"lookalike: {said or type(error).__name__}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:
            _forget_stdout()
        return USAGE


def _run(arguments: Sequence[str]) -> int:
    if "" in arguments:  # which paths would take for the current folder
        raise ValueError("an empty argument '' is no file, folder or name; is a variable of your script empty?")
    if list(arguments) == ["--version"]:
        print(f"lookalike {__version__}")
        return 0
    if list(arguments[:1]) == ["lab"]:
        return lab_room.main(arguments[1:])
    return tyro.extras.subcommand_cli_from_dict(
        {verb.__name__: verb for verb in VERBS},
        prog="lookalike",
        description=DESCRIPTION,
        args=list(arguments),
        config=(tyro.conf.FlagCreatePairsOff,),
    )


class _Interrupted:
    """Whether Ctrl-C was pressed, while it is not asked for elsewhere; a context manager."""

    def __init__(self) -> None:
        self.seen = False
        self._before: Any = None

    def __enter__(self) -> None:
        here = threading.current_thread() is threading.main_thread()
        if here and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._interrupt)

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        raise KeyboardInterrupt


def _open_closed_streams() -> None:
    """Where a shell closed them (``>&-``) nobody reads, and the next file must not take their place."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process


def _forget_stdout() -> None:
    """Let the interpreter's last flush go nowhere, or it would complain once more on its way out."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

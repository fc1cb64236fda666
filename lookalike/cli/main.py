"""The command line: verbs, exit codes, and errors as one line.

Exit codes: 0 done, 1 some failed or a promise broke, 2 usage or unreadable input, 3 finished with failed rows,
130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

import tyro

from lookalike import __version__
from lookalike.cli import lab as lab_room
from lookalike.cli.agree import agree
from lookalike.cli.audit import audit
from lookalike.cli.lab import lab
from lookalike.cli.losses import losses
from lookalike.cli.metrics import metrics
from lookalike.cli.report import report
from lookalike.cli.ruler import ruler
from lookalike.cli.score import score
from lookalike.cli.study import study
from lookalike.cli.view import view
from lookalike.cli.weights import weights

USAGE = 2
INTERRUPTED = 128 + signal.SIGINT
NOBODY_READS = 128 + 13  # as a shell reports a program ended by SIGPIPE
VERBS = (score, ruler, metrics, losses, audit, study, lab, report, view, agree, weights)
DESCRIPTION = """One ruler for image similarity. Every command takes the reference first, then the image judged.

Exit codes: 0 done, 1 a promise broke or nothing matched, 2 usage or unreadable input, 3 finished with
failed rows, 130 interrupted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: of the command line, without the program's name; None takes this process's.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        # A file's name need not be text in the terminal's encoding; it is shown escaped, never a reason to fail.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    # Read when torch is loaded. Its threads wait for one another by spinning, and where other programs want the
    # processors too, one that spins keeps away the one it waits for: a pair of images took 37 s instead of 4 s.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _forget_stdout()
        return NOBODY_READS
    except KeyboardInterrupt:
        return INTERRUPTED
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"lookalike: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:
            _forget_stdout()
        return USAGE


def _run(arguments: Sequence[str]) -> int:
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


def _forget_stdout() -> None:
    """Let the interpreter's last flush go nowhere, or it would complain once more on its way out."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

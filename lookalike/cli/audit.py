"""``lookalike audit``: the promises of a metric or loss, checked."""

from __future__ import annotations

import dataclasses
import os
import sys
from typing import Annotated

from tyro.conf import Positional, arg

from lookalike.cli import show

_MARKS = {"kept": "✓", "broken": "✗", "declined": show.DASH}


def audit(
    *,
    targets: Positional[
        Annotated[
            tuple[str, ...],
            arg(metavar="[NAME | PACKAGE.MODULE:CLASS ...]", help_behavior_hint="(default: the catalogue)"),
        ]
    ] = (),
    promises: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]", help_behavior_hint="(default: all)")] = (),
    json: bool = False,
) -> int:
    """Check the promises of metrics or losses, ours or anybody's; exit code 1 when one breaks.

    Args:
        targets: names of the catalogue, or package.module:Class from here or any installed package.
        promises: which promises.
        json: print JSON.
    """
    from lookalike import audit as room
    from lookalike import registry
    from lookalike.metric import PROMISES

    sys.path.append(os.getcwd())  # the module under audit is often the one being written in this folder
    asked = promises or PROMISES
    found = {target: room.run(target, asked) for target in targets or registry.catalog()}
    broken = sum(finding.verdict == "broken" for findings in found.values() for finding in findings)
    if json:
        show.as_json(
            {target: [dataclasses.asdict(finding) for finding in findings] for target, findings in found.items()}
        )
        return min(broken, 1)
    if len(found) > 1:
        show.as_table(
            ("", *asked),
            [(target, *(_MARKS[finding.verdict] for finding in findings)) for target, findings in found.items()],
        )
        show.as_line("✓ kept   ✗ broken   — declined\n")
    show.as_table(
        ("metric", "promise", "verdict", "detail"),
        [
            (target, finding.promise, finding.verdict, finding.detail)
            for target, findings in found.items()
            for finding in findings
            if len(found) == 1 or finding.verdict != "kept"
        ],
    )
    show.as_line(f"{broken} of {sum(map(len, found.values()))} promises broken")
    return min(broken, 1)

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
            arg(
                metavar="[NAME | EXPRESSION | PACKAGE.MODULE:CLASS ...]",
                help_behavior_hint="(default: the catalogue)",
            ),
        ]
    ] = (),
    promises: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]", help_behavior_hint="(default: all)")] = (),
    device: str = "cpu",
    json: bool = False,
) -> int:
    """Check the promises of metrics or losses, ours or anybody's; exit code 1 when one breaks.

    Args:
        targets: metrics, losses such as '0.84*ssim + 0.16*l1' or seed/ssim@published (see lookalike losses), or
            package.module:Class from here or any installed package.
        promises: which promises.
        device: where to compute, such as cuda.
        json: print JSON.
    """
    from lookalike import audit as room
    from lookalike import images, registry
    from lookalike.metric import PROMISES

    sys.path.append(os.getcwd())  # the module under audit is often the one being written in this folder
    asked = promises or PROMISES
    place = images.usable_device(device)
    absent = [] if targets else [name for name in registry.catalog() if not _at_hand(name)]
    audited = targets or [name for name in registry.catalog() if name not in absent]
    found = {target: room.run(target, asked, device=place) for target in audited}
    if absent:
        print(f"left out, for their weights are not on this machine: {', '.join(absent)}", file=sys.stderr)
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


def _at_hand(name: str) -> bool:
    """Whether a metric can be built without downloading anything."""
    from lookalike import registry, weights

    needed = registry.metric_class(name).facts.weights
    return not needed or weights.present(needed)

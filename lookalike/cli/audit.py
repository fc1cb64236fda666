"""``lookalike audit``: the promises of a metric or loss, checked."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
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
    figures: bool = False,
    device: str = "cpu",
    json: bool = False,
) -> int:
    """Check the promises of metrics or losses, ours or anybody's; exit code 1 when one breaks.

    Args:
        targets: metrics, losses such as '0.84*ssim + 0.16*l1' or seed/ssim@published (see lookalike losses), or
            package.module:Class from here or any installed package.
        promises: which promises.
        figures: measure instead what separates good losses: the gradient's reach, its share at the centre, its norm
            at three strengths of noise, the cost of a negative, and how the score moves with every distortion.
        device: where to compute, such as cuda.
        json: print JSON.
    """
    from lookalike import audit as room
    from lookalike import batches, registry
    from lookalike.metric import PROMISES

    sys.path.append(os.getcwd())  # the module under audit is often the one being written in this folder
    asked = promises or PROMISES
    place = batches.usable_device(device)
    absent = [] if targets else [name for name in registry.catalog() if not _at_hand(name)]
    audited = targets or [name for name in registry.catalog() if name not in absent]
    if figures:
        _figures(audited, place, json)
        return 0
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


def _figures(targets: Sequence[str], device: str, json: bool) -> None:
    from lookalike.audit import figures as room

    found = {target: room.measure(target, device=device) for target in targets}
    if json:
        show.as_json({target: dataclasses.asdict(one) for target, one in found.items()})
        return
    noises = "/".join(f"{noise:g}" for noise in room.NOISE)
    show.as_table(
        ("", "reached", "centre", "red ↔ blue", "negative", f"pull at {noises}"),
        [
            (
                target,
                *(_figure(one.reached, ".2%"), _figure(one.centre and one.centre / one.even, ".3g")),
                *(_figure(one.swapped, ".2%"), _figure(one.negative, ".3g")),
                show.DASH if one.pull is None else " / ".join(f"{norm:.3g}" for norm in one.pull),
            )
            for target, one in found.items()
        ],
        numbers=(1, 2, 3, 4),
    )
    show.as_line(
        "reached: pixels with a gradient. centre: gradient on the middle 3×3, × an even share. red ↔ blue: change "
        "when they change places. negative: what it costs, × noise of 0.05; below 1 it passes for better. pull: "
        "norm of the gradient at that noise.\n"
    )
    show.as_table(
        ("score at rising strength", *found),
        [
            (
                distortion,
                *(" ".join(f"{score:.4g}" for score in one.curves.get(distortion, ())) for one in found.values()),
            )
            for distortion in dict.fromkeys(name for one in found.values() for name in one.curves)
        ],
    )
    for target, one in found.items():
        for figure, problem in one.failures.items():
            show.as_line(f"{target}: no {figure}: {problem}")


def _figure(value: float | None, form: str) -> str:
    return show.DASH if value is None else format(value, form)


def _at_hand(name: str) -> bool:
    """Whether a metric can be built without downloading anything."""
    from lookalike import registry, weights

    needed = registry.metric_class(name).facts.weights
    return weights.present(*needed)

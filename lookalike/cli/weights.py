"""``lookalike weights``: which learned weights there are, which are on this machine, and fetching them."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import Positional, arg

from lookalike.cli import show


def weights(
    *,
    fetch: Positional[Annotated[tuple[str, ...], arg(metavar="[fetch NAME ...]")]] = (),
    json: bool = False,
) -> int:
    """List the learned weights and what of them is on this machine, or fetch them.

    Searched are the folder in LOOKALIKE_WEIGHTS, torch hub's cache and installed packages; downloads go to the
    first of them. LOOKALIKE_OFFLINE=1 forbids downloads.

    Args:
        fetch: the word fetch and names from the list, or of metrics such as lpips-alex; every file is verified.
        json: print JSON.
    """
    from lookalike import registry
    from lookalike import weights as room

    if not fetch:
        rows = room.table(registry.weights_of_all())
        if json:
            show.as_json(rows)
            return 0
        if show.is_terminal():  # paths, hashes and addresses are for programs, and too wide
            show.as_table(
                ("weights", "for", "MiB", "here"),
                [
                    (row["name"], ", ".join(row["for"]) or show.DASH, f"{row['mib']:.3g}",
                     "yes" if row["path"] else "no")
                    for row in rows
                ],
                numbers=(2,),
            )  # fmt: skip
            show.as_line("\nlookalike weights --json: what each is, with file, sha256 and address")
            return 0
        show.as_table(
            ("weights", "what", "for", "MiB", "on this machine", "sha256", "licence", "from"),
            [
                (row["name"], row["what"], ", ".join(row["for"]) or show.DASH, f"{row['mib']:.3g}",
                 row["path"] or show.DASH, row["sha256"][:16], row["licence"], row["address"])
                for row in rows
            ],
            numbers=(3,),
        )  # fmt: skip
        return 0
    verb, *names = fetch
    if verb != "fetch" or not names:
        raise ValueError(f"weights: write 'weights' or 'weights fetch NAME ...', got {' '.join(fetch)!r}")
    for name in names:
        registry.weights_of(name)  # a mistyped name is said before anything is downloaded
    found = {name: [str(path) for path in room.fetch(*registry.weights_of(name))] for name in names}
    if json:
        show.as_json(found)
    else:
        show.as_table(("weights", "file"), [(name, path) for name, paths in found.items() for path in paths])
    return 0

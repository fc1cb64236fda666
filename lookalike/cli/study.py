"""``lookalike study``: what the numbers see and what they do not, on any photograph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from lookalike.cli import show


def study(
    *,
    images: Positional[
        Annotated[
            tuple[Path, ...],
            arg(metavar="[IMAGE ...]", help_behavior_hint="(default: a portrait that comes with scikit-image)"),
        ]
    ] = (),
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("study"),
    paper: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="")] = None,
    seed: int = 0,
    alpha: Annotated[Literal["white", "black"] | None, arg(metavar="white|black", help_behavior_hint="")] = None,
    device: str = "cpu",
    force: bool = False,
) -> int:
    """Distort photographs, score and map every picture, and write one self-contained page.

    Args:
        images: photographs, RGB or grey, from 32 px.
        out: the folder for index.html, scores.json, scores.csv and the pictures.
        paper: folder with the crops of Wang & Simoncelli 2005, figure 1 (fig1_a.png ... fig1_l.png), scored too.
        seed: of noise and of the overlays' places.
        alpha: background for images with transparent pixels, which are refused otherwise.
        device: that computes, such as cuda.
        force: replace files of the folder that lookalike did not write; inputs are never replaced.
    """
    from lookalike.batches import usable_device
    from lookalike.report import study_page
    from lookalike.study import run, table

    record = run(images, out, paper_folder=paper, seed=seed, device=usable_device(device), alpha=alpha, force=force)
    page = study_page(out, force=force)
    show.as_text(table(record) + "\n")
    show.as_path(page)
    return 0

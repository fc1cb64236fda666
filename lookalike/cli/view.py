"""``lookalike view``: images over, beside and after one another, as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from lookalike.cli import show


def view(
    reference: Annotated[Path, arg(metavar="REFERENCE")],
    judged: Annotated[tuple[Path, ...], arg(metavar="JUDGED [JUDGED ...]", help_behavior_hint="")],
    /,
    *,
    out: Annotated[Path, arg(aliases=["-o"], metavar="FILE.html")] = Path("view.html"),
    metrics: Annotated[
        tuple[str, ...],
        arg(
            aliases=["-m"], metavar="NAME [NAME ...]", help_behavior_hint="(default: psnr ssim ms_ssim lpips_alex)"
        ),
    ] = (),
    maps: Annotated[
        tuple[str, ...],
        arg(metavar="NAME [NAME ...]", help_behavior_hint="(default: SSIM, its three parts, lpips_alex)"),
    ] = (),
    alpha: Annotated[Literal["white", "black"] | None, arg(metavar="white|black", help_behavior_hint="")] = None,
    profile: Annotated[Literal["srgb", "ignore"], arg(metavar="srgb|ignore")] = "srgb",
    max_pixels: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: 178956970)")] = None,
    device: str = "cpu",
    force: bool = False,
) -> int:
    """Write one self-contained page to look at images with, and say where it is.

    Slider, flicker and side by side, zoomed in step; maps of where they differ as overlays; numbers with their
    signatures; the values of the pixel under the cursor. The page needs no network and no other file.

    Args:
        reference: the image that is right.
        judged: one image or more of the same size.
        out: the page.
        metrics: which numbers, named after the images (see `lookalike metrics`).
        maps: which overlays, by the metrics that have a map; the absolute error is always there.
        alpha: background for images with transparent pixels, which are refused otherwise.
        profile: what becomes of colour profiles and gammas in files: converted to sRGB, as viewers do, or ignored
            for the numbers as they are stored.
        max_pixels: the most that a file may claim; larger ones are refused before anything is decoded.
        device: that computes, such as cuda.
        force: replace a file that lookalike did not write; inputs are never replaced.
    """
    from lookalike.records import outputs
    from lookalike.report import viewer

    outputs.claim(viewer.check(out), who="view", inputs=(reference, *judged), force=force)
    from lookalike.scoring.view import view as seen

    found = seen(
        reference,
        judged,
        metrics or None,
        maps or None,
        alpha=alpha,
        profile=profile,
        device=device,
        **show.limit(max_pixels, "view"),
    )
    show.as_path(viewer.write(found, out, (reference, *judged), force))
    return 0

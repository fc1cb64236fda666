"""The page of a study: one html file with every picture inside it, made from a run folder and nothing else."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from PIL import Image

from lookalike.records import outputs, runs
from lookalike.report.page import render

SHOWN_PX = 480  # longer sides are reduced on the page; the files of the run folder are not
_FORMATS = (1,)  # of scores.json that this page understands
_CARD_COLUMNS = {
    "original": (),
    "four": ("mse", "psnr", "ssim", "ssim_whole"),
    "equal": ("mse", "ssim", "ms_ssim", "cw_ssim", "cw_ssim_fine"),
    "moved": ("mse", "ssim", "ms_ssim", "cw_ssim", "cw_ssim_fine"),
}


def study_page(folder: str | Path, *, force: bool = False) -> Path:
    """Write ``index.html`` into the run folder of a study.

    The page holds its pictures, style and text: no script, no network, no other file.

    Args:
        folder: as `lookalike.study.run` left it.
        force: replace a page that lookalike did not write.

    Returns:
        The page's path.

    Raises:
        ValueError: when the folder holds no study that this page understands, or a picture is missing.
        OSError: when the page cannot be written.
    """
    folder = Path(folder)
    record = runs.read_json(folder / runs.SCORES)
    if not isinstance(record, dict) or record.get("kind") != "study" or record.get("format") not in _FORMATS:
        raise ValueError(f"{folder / runs.SCORES}: is not a study this version can show; run lookalike study again")
    environment = runs.read_json(folder / runs.ENVIRONMENT)
    text = render(
        "study.html.j2",
        styles=["study.css"],
        study=record,
        environment=environment,
        picture_of=lambda file: _data_uri(folder / file),
        columns={column["name"]: column for column in record["columns"]},
        card_columns=_CARD_COLUMNS,
        lessons=[lessons(photograph, record) for photograph in record["photographs"]],
        similarity=[column["name"] for column in record["columns"] if "ssim" in column["name"]],
        reduced=[max(photograph["width"], photograph["height"]) > SHOWN_PX for photograph in record["photographs"]],
        shown_px=SHOWN_PX,
    )
    page = outputs.claim(folder / runs.PAGE, who="study", force=force)
    runs.write_text(page, text)
    return page


def lessons(photograph: dict[str, Any], record: dict[str, Any]) -> dict[str, str]:
    """What the numbers of one photograph say, in sentences that hold whatever they are.

    Args:
        photograph: an entry of ``photographs`` in ``scores.json``.
        record: the whole of it.

    Returns:
        A sentence or two for each of the groups "four", "equal" and "moved".
    """
    digits = {column["name"]: column["digits"] for column in record["columns"]}
    titles = {column["name"]: column["title"] for column in record["columns"]}

    def group(name: str) -> list[dict[str, Any]]:
        return [picture for picture in photograph["pictures"] if picture["group"] == name]

    def number(picture: dict[str, Any], column: str) -> str:
        return runs.shown(picture["scores"][column]["value"], digits[column])

    def value(picture: dict[str, Any], column: str) -> float:
        return float(picture["scores"][column]["value"])

    def span(pictures: list[dict[str, Any]], column: str) -> str:
        ordered = sorted(pictures, key=lambda picture: value(picture, column))
        least, most = number(ordered[0], column), number(ordered[-1], column)
        return least if least == most else f"{least} to {most}"

    def ranked(pictures: list[dict[str, Any]], column: str, reverse: bool) -> tuple[str, list[str]]:
        ordered = sorted(pictures, key=lambda picture: value(picture, column), reverse=reverse)
        said = ", ".join(f"{picture['title']} ({number(picture, column)})" for picture in ordered)
        return said, [picture["name"] for picture in ordered]

    four, equal, moved = group("four"), group("equal"), group("moved")
    by_error, error_order = ranked(four, "mse", reverse=False)
    by_ssim, ssim_order = ranked(four, "ssim", reverse=True)
    verdict = (
        "The two agree on the order here." if error_order == ssim_order else "The two do not agree on the order."
    )
    said = {"four": f"From best to worst, by MSE: {by_error}. By SSIM: {by_ssim}. {verdict}"}

    target, tolerance = photograph["target_mse"], record["tolerance"]
    same = [picture for picture in equal if abs(value(picture, "mse") - target) <= tolerance * target]
    missing = [picture["title"] for picture in equal if picture not in same]
    sentences = [
        f"{'The JPEG' if photograph['target_from'] == 'jpeg' else 'The paper, for want of a JPEG that differs,'} "
        f"sets the error (MSE {runs.shown(target, digits['mse'])}); the others are tuned by bisection until theirs "
        f"is the same within {tolerance:.0%}."
    ]
    if same:
        worst, best = (pick(same, key=lambda picture: value(picture, "ssim")) for pick in (min, max))
        sentences.append(
            f"{'All' if not missing else 'Those that could be matched'} have an MSE of {span(same, 'mse')}: "
            "to L2 they are equally far from the original. "
            f"SSIM runs from {number(worst, 'ssim')} ({worst['title']}) to "
            f"{number(best, 'ssim')} ({best['title']})."
        )
    if missing:
        sentences.append(f"Without that error: {', '.join(missing)}; the reason stands with the picture.")
    said["equal"] = " ".join(sentences)

    sentences = [f"MSE is {span(moved, 'mse')}, SSIM {span(moved, 'ssim')}."]
    for column in ("cw_ssim", "cw_ssim_fine"):
        if all(picture["scores"][column]["value"] is not None for picture in moved):
            apart = min(value(one, column) for one in moved) > max(value(one, "ssim") for one in moved)
            sentences.append(f"{titles[column]} {'stays at' if apart else 'is'} {span(moved, column)}.")
    said["moved"] = " ".join(sentences)
    return said


def _data_uri(path: Path) -> str:
    """A picture as it goes into the page, reduced where it is larger than pages show."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            if max(image.size) > SHOWN_PX:
                content = _reduced(image)
    except OSError as error:
        raise ValueError(
            f"{path}: a picture of the study cannot be read ({error}); run lookalike study again"
        ) from None
    return "data:image/png;base64," + base64.b64encode(content).decode()


def _reduced(image: Image.Image) -> bytes:
    image = image.convert("RGB") if image.mode == "P" else image
    image.thumbnail((SHOWN_PX, SHOWN_PX), Image.Resampling.BOX, reducing_gap=None)
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()

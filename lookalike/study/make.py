"""Make a study: distort photographs, score and map every picture, and leave a run folder that `report` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.files import UnreadableImage, load
from lookalike.records import outputs, runs
from lookalike.records.tables import as_text
from lookalike.samples import sample
from lookalike.study import maps, paper
from lookalike.study.columns import Column, as_levels, columns, scores_of
from lookalike.study.pictures import MOVE_PX, TOLERANCE, Levels, Picture, mse, pictures_of

MIN_SIDE = 32
DEFAULT_NAME = "astronaut"
_PORTRAIT = (slice(0, 256), slice(96, 352))  # of the 512x512 photograph: a face, as in the paper's figure
_FORMAT = 1  # of scores.json


def run(
    photographs: Sequence[str | Path] = (),
    folder: str | Path = "study",
    *,
    paper_folder: str | Path | None = None,
    seed: int = 0,
    device: str = "cpu",
    alpha: str | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Make a study and write it to a folder.

    Everything is read and checked before the first picture is made.

    Args:
        photographs: image files, RGB or grey, any size from 32 px; none: scikit-image's astronaut, her portrait.
        folder: the run folder; made where it is missing, the files of an earlier study in it replaced.
        paper_folder: holds the twelve crops of the paper's figure, ``fig1_a.png`` … ``fig1_l.png``.
        seed: of noise and of the overlays' places.
        device: that computes the scores.
        alpha: ``"white"`` or ``"black"``, the background for transparent pictures.
        force: replace files of the folder that lookalike did not write.

    Returns:
        What ``scores.json`` holds.

    Raises:
        UnreadableImage: for a file that is no image, or smaller than 32 px.
        ValueError: for a folder that holds files which are not of a study, or the photographs.
        OSError: when the folder cannot be written.
    """
    folder = Path(folder)
    written = (runs.SCORES, runs.SCORES_TABLE, runs.ENVIRONMENT, runs.IMAGES, runs.PAGE)
    outputs.claim_folder(folder, written, who="study", record=runs.is_study, inputs=photographs, force=force)
    read = [(as_text(Path(path).name), _read(Path(path), alpha)) for path in photographs] or [
        (DEFAULT_NAME, _portrait())
    ]
    crops = None if paper_folder is None else paper.crops(Path(paper_folder))

    runs.write_json(
        folder / runs.ENVIRONMENT, runs.environment(device)
    )  # first: it marks the folder as written by lookalike
    score_columns = columns()
    parts, stems = [], []
    for title, original in read:
        stems.append(runs.file_name(Path(title).stem, stems))
        parts.append(_photograph(folder, stems[-1], title, original, score_columns, seed, device))
    record: dict[str, Any] = {
        "kind": "study",
        "format": _FORMAT,
        "seed": seed,
        "tolerance": TOLERANCE,
        "move_px": MOVE_PX,
        "published": paper.published(),
        "columns": [column.described() for column in score_columns],
        "maps": maps.legends(),
        "photographs": parts,
        "paper": None if crops is None else _paper(folder, crops, device),
    }
    _write_table(folder, record)
    runs.write_json(folder / runs.SCORES, record)  # last: all the files that it names exist by then
    return record


def _read(path: Path, alpha: str | None) -> Levels:
    array = load(path, alpha=alpha)
    height, width = array.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise UnreadableImage(f"{path}: {width}x{height} px; the study needs sides of at least {MIN_SIDE} px")
    try:
        return as_levels(array)
    except ValueError as error:
        raise UnreadableImage(f"{path}: {error}") from None


def _portrait() -> Levels:
    portrait = sample(DEFAULT_NAME)[0, :, *_PORTRAIT].permute(1, 2, 0).double().numpy()
    return as_levels(np.ascontiguousarray(portrait))


def _photograph(
    folder: Path, stem: str, title: str, original: Levels, score_columns: Sequence[Column], seed: int, device: str
) -> dict[str, Any]:
    """Make, score, map and write the pictures of one photograph."""
    pictures, target = pictures_of(original, seed)
    height, width = original.shape[:2]
    return {
        "name": stem,
        "title": title,
        "width": width,
        "height": height,
        "channels": 1 if original.ndim == 2 else 3,
        "target_mse": target,
        "target_from": "jpeg" if any(_sets_target(picture, original, target) for picture in pictures) else "paper",
        "pictures": [_picture(folder, stem, picture, original, score_columns, device) for picture in pictures],
    }


def _sets_target(picture: Picture, original: Levels, target: float) -> bool:
    """Whether this is the JPEG whose error the others were given."""
    return picture.name == "jpeg" and mse(picture.levels, original) == target


def _picture(
    folder: Path, stem: str, picture: Picture, original: Levels, score_columns: Sequence[Column], device: str
) -> dict[str, Any]:
    file = f"{runs.IMAGES}/{stem}-{runs.file_name(picture.name)}"
    runs.write_png(folder / f"{file}.png", picture.levels)
    map_records: dict[str, Any] = {}
    for image_map in maps.maps_of(picture.levels, original, device) if picture.group != "original" else []:
        runs.write_png(folder / f"{file}-{image_map.name}.png", image_map.pixels, image_map.palette)
        map_records[image_map.name] = {
            "file": f"{file}-{image_map.name}.png",
            "limit": image_map.limit,
            "mean": image_map.mean,
        }
    return {
        "name": picture.name,
        "group": picture.group,
        "title": picture.title,
        "setting": picture.setting,
        "note": picture.note,
        "file": f"{file}.png",
        "scores": scores_of(score_columns, picture.levels, original, device),
        "maps": map_records,
    }


def _paper(folder: Path, crops: dict[str, Levels], device: str) -> dict[str, Any]:
    compared = paper.beside(crops, device)
    for row in compared["rows"]:
        row["file"] = f"{runs.IMAGES}/paper-{row['letter']}.png"
        runs.write_png(folder / row["file"], crops[row["letter"]])
    return compared


def _write_table(folder: Path, record: dict[str, Any]) -> None:
    """One row a picture, one column a signature."""
    header = ["photograph", "group", "picture", "setting", "note"]
    header += [column["signature"] for column in record["columns"]]
    rows = [
        [photograph["title"], picture["group"], picture["name"], picture["setting"], picture["note"]]
        + [picture["scores"][column["name"]]["value"] for column in record["columns"]]
        for photograph in record["photographs"]
        for picture in photograph["pictures"]
    ]
    runs.write_csv(folder / runs.SCORES_TABLE, header, rows)

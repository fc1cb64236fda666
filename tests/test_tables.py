"""The score table: three kinds of file, one meaning."""

import csv
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from lookalike.records import tables
from lookalike.records.tables import Row, Table

METADATA: dict[str, Any] = {
    "signatures": {"psnr": "psnr|range:255|v:1", "ssim": "ssim|range:255|v:1"},
    "better": {"psnr": "higher", "ssim": "higher"},
    "statistics": {"methods": {"a": 0.5}},
}
ROWS = [
    Row("a", "1.png", "ref/1.png", "a/1.png", 768, 512, (31.25, 0.1 + 0.2), None),
    Row("a", 'quote " comma, <script>\nline\r.png', "ref/\x01ä.png", "a/☃.png", 3, 4, (math.inf, -0.0), None),
    Row("a", "2.png", "ref/2.png", "a/2.png", None, None, (None, None), "a/2.png: the file is empty"),
    Row("a", "lone\rreturn", "ref/\r.png", "a/\r.png", 3, 4, (1.0, 2.0), None),
    Row("b", "3.png", "ref/3.png", "b/3.png", 8, 8, (30.0, None), "ssim: needs images of at least 11 px a side"),
]


@pytest.fixture(params=tables.KINDS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == ".parquet":
        pytest.importorskip("pyarrow", reason="parquet needs pyarrow")
    return tmp_path / f"new folder/scores{request.param}"


def test_what_is_written_is_read(path: Path) -> None:
    tables.write(path, ("psnr", "ssim"), METADATA, iter(ROWS))
    assert tables.read(path) == Table(("psnr", "ssim"), METADATA, ROWS)
    names = {path.name} if path.suffix == ".parquet" else {path.name, f"{path.name}.json"}
    assert {entry.name for entry in path.parent.iterdir()} == names


def test_nothing_is_a_table_too(path: Path) -> None:
    tables.write(path, ("psnr", "ssim"), METADATA, [])
    assert tables.read(path) == Table(("psnr", "ssim"), METADATA, [])


def test_nan_is_a_number_and_not_a_gap(path: Path) -> None:
    tables.write(path, ("psnr", "ssim"), METADATA, [ROWS[0]._replace(values=(math.nan, None))])
    [row] = tables.read(path).rows
    assert row.values[0] is not None
    assert math.isnan(row.values[0])
    assert row.values[1] is None


def test_names_that_are_not_text_stand_escaped(path: Path) -> None:
    row = ROWS[0]._replace(image="a/\udcff.png", error="a/\udcff.png: no such file")
    tables.write(path, ("psnr", "ssim"), METADATA, [row])
    [found] = tables.read(path).rows
    assert (found.image, found.error) == ("a/\\xff.png", "a/\\xff.png: no such file")


def test_a_failed_write_leaves_the_table_that_was_there(path: Path) -> None:
    tables.write(path, ("psnr", "ssim"), METADATA, ROWS)
    before = {entry: entry.read_bytes() for entry in path.parent.iterdir()}

    def torn() -> Any:
        yield ROWS[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        tables.write(path, ("psnr", "ssim"), METADATA, torn())
    assert {entry: entry.read_bytes() for entry in path.parent.iterdir()} == before


def test_other_files_are_refused_with_the_path(path: Path) -> None:
    with pytest.raises(ValueError, match="no such file"):
        tables.read(path)
    path.parent.mkdir()
    path.write_bytes(b"not a table \xff")
    tables.metadata_file(path).write_text("{}")
    with pytest.raises(ValueError, match="not a table of scores"):
        tables.read(path)
    with pytest.raises(ValueError, match=r"ends in \.parquet, \.csv, \.jsonl"):
        tables.check(path.with_suffix(".xlsx"))
    folder = path.with_name(f"folder{path.suffix}")
    folder.mkdir()
    with pytest.raises(ValueError, match="is a folder"):
        tables.check(folder)


def test_without_pyarrow_the_error_names_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"pip install 'lookalike\[scoring\]', or name a .csv or .jsonl file"):
        tables.check(tmp_path / "scores.parquet")
    tables.write(tmp_path / "scores.csv", ("psnr", "ssim"), METADATA, ROWS)
    assert tables.read(tmp_path / "scores.csv").rows == ROWS


@pytest.mark.parametrize(
    "text", ["=1+1", "+x", "-m", "@sum", "\tx", "'=a", "''=a", "'a", "-5", "+1.5e3", "=", "-", "'"]
)
@pytest.mark.parametrize("kind", tables.KINDS)
def test_text_that_a_spreadsheet_would_run_comes_back(tmp_path: Path, text: str, kind: str) -> None:
    if kind == ".parquet":
        pytest.importorskip("pyarrow", reason="parquet needs pyarrow")
    table = tmp_path / f"o{kind}"
    row = tables.Row(text, text, text, text, 3, 4, (-0.5, None), text)
    tables.write(table, ("psnr", "l1"), {"signatures": {"psnr": "", "l1": ""}}, [row])
    assert tables.read(table).rows == [row]
    if kind == ".csv":
        with table.open(newline="", encoding="utf-8") as file:
            cells = list(csv.reader(file))[1]
        assert cells[6] == "-0.5"  # a number stays one
        number = text in ("-5", "+1.5e3")
        assert all(number or cell[:1] not in ("=", "+", "-", "@", "\t", "\r") for cell in (*cells[:4], cells[-1]))

"""Agreement with people: the statistics against SciPy and curves that are known, and the databases' folders."""

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image
from places import SHARED
from scipy import stats
from scipy.io import savemat

from lookalike import agree
from lookalike.agree import correlation
from lookalike.cli.main import main

DATA = SHARED / "data"
LISTS = sorted(set((DATA / "scores").glob("*.txt")) - {DATA / "scores/SOURCE.txt"})


def drawn(n=300, noise=0.4, seed=0):
    generator = np.random.default_rng(seed)
    scores = generator.random(n)
    return scores, 1 + 4 / (1 + np.exp(-9 * (scores - 0.5))) + generator.normal(0, noise, n)


def scipys(correlation, *samples):
    return correlation(*samples).statistic


@pytest.mark.parametrize("fit", ["logistic4", "logistic5"])
def test_rank_correlations_are_scipys_and_the_fit_is_never_worse_than_the_truth(fit):
    scores, opinions = drawn()
    found = agree.agreement(scores, opinions, fit=fit, resamples=0)
    assert found.srcc.value == pytest.approx(scipys(stats.spearmanr, scores, opinions), abs=1e-12)
    assert found.krcc.value == pytest.approx(scipys(stats.kendalltau, scores, opinions), abs=1e-12)
    truth = 1 + 4 / (1 + np.exp(-9 * (scores - 0.5)))
    assert found.rmse.value <= np.sqrt(np.mean((truth - opinions) ** 2))
    assert found.plcc.value >= np.corrcoef(truth, opinions)[0, 1] - 1e-9
    assert found.plcc.value > np.corrcoef(scores, opinions)[0, 1]


@pytest.mark.parametrize("fit", ["logistic4", "logistic5"])
@pytest.mark.parametrize("shape", [(1.0, 0.0), (-300.0, 40.0), (1e-6, 5.0)], ids=str)
def test_the_fit_does_not_care_about_the_unit_or_the_direction_of_scores(fit, shape):
    scores, opinions = drawn(120)
    scale, shift = shape
    plain = agree.agreement(scores, opinions, fit=fit, resamples=0)
    other = agree.agreement(scores * scale + shift, opinions, fit=fit, resamples=0, rising=scale > 0)
    assert other.srcc == plain.srcc
    assert other.plcc.value == pytest.approx(plain.plcc.value, abs=1e-6)
    assert other.rmse.value == pytest.approx(plain.rmse.value, abs=1e-6)


@pytest.mark.parametrize("fit", ["logistic4", "logistic5"])
@pytest.mark.parametrize("shape", [(1e-9, 0.0), (1e9, 0.0), (1.0, 1e6)], ids=str)
def test_the_fit_does_not_care_about_the_unit_of_opinions(fit, shape):
    scores, opinions = drawn(120)
    scale, shift = shape
    plain = agree.agreement(scores, opinions, fit=fit, resamples=0)
    other = agree.agreement(scores, opinions * scale + shift, fit=fit, resamples=0)
    assert other.plcc.value == pytest.approx(plain.plcc.value, abs=1e-6)
    assert other.rmse.value == pytest.approx(plain.rmse.value * scale, rel=1e-5)
    z = (scores - scores.mean()) / scores.std()
    predicted = getattr(correlation, fit)(z, *other.parameters)
    assert np.sqrt(np.mean((predicted - opinions * scale - shift) ** 2)) == pytest.approx(
        other.rmse.value, rel=1e-5
    )


@pytest.mark.parametrize("fit", ["logistic4", "logistic5"])
def test_one_score_far_out_does_not_hide_the_curve_of_the_others(fit):
    z = np.linspace(-2.5, 2.5, 60)
    scores, opinions = np.append(z, 1e6), np.append(1 + 4 / (1 + np.exp(-2 * z)), 3.0)
    assert agree.agreement(scores, opinions, fit=fit, resamples=0).plcc.value > 0.95


def test_known_parameters_come_back():
    z = np.linspace(-2, 2, 200)
    z = (z - z.mean()) / z.std()
    wanted = 3.0, 2.0, 0.3, 0.2, 4.0
    found = agree.agreement(z, correlation.logistic5(z, *wanted), resamples=0)
    assert found.rmse.value < 1e-6
    np.testing.assert_allclose(found.parameters, wanted, atol=1e-3)


@pytest.mark.slow
def test_intervals_hold_the_value_narrow_with_pairs_and_come_again_by_seed():
    few, many = (agree.agreement(*drawn(n), resamples=200) for n in (60, 600))
    assert many == agree.agreement(*drawn(600), resamples=200)
    assert many != agree.agreement(*drawn(600), resamples=200, seed=1)
    for name in ("srcc", "krcc", "plcc", "rmse"):
        part = getattr(many, name)
        assert part.low < part.value < part.high
        assert part.high - part.low < getattr(few, name).high - getattr(few, name).low


@pytest.mark.parametrize(
    ("scores", "opinions", "words"),
    [
        ([1, 2, 3], [1, 2, 3], "at least 5 pairs"),
        ([1, 2, 3, 4, np.nan], [1, 2, 3, 4, 5], "scores must be finite, number 4 is not"),
        ([1, 1, 1, 1, 1], [1, 2, 3, 4, 5], "all scores are 1"),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6], "as many scores as opinions"),
    ],
)
def test_what_has_no_correlation_is_refused(scores, opinions, words):
    with pytest.raises(ValueError, match=words):
        agree.agreement(np.array(scores, float), np.array(opinions, float))


@pytest.mark.skipif(not LISTS, reason="the databases' lists of opinions are not on this machine")
@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_the_lists_of_the_databases_are_read(path):
    records = agree.read(path, opinion="score", metrics=["score"])
    assert len(records.opinions) > 50
    assert records.distortions is not None
    found = agree.by_distortion(records, "score", rising=True, resamples=0)
    assert all(one.srcc.value == pytest.approx(1) for one in found.values())
    assert len(found) > 2
    guesses = records.opinions + np.random.default_rng(0).normal(0, records.opinions.std(), len(records.opinions))
    found = agree.agreement(guesses, records.opinions, resamples=0)
    assert found.srcc.value == pytest.approx(scipys(stats.spearmanr, guesses, records.opinions), abs=1e-12)
    assert found.krcc.value == pytest.approx(scipys(stats.kendalltau, guesses, records.opinions), abs=1e-12)
    assert found.plcc.value >= np.corrcoef(guesses, records.opinions)[0, 1] - 1e-6  # the fit can be a line


# ---- the databases' folders


def picture(path, level):
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    clean = generator.integers(60, 200, (24, 32, 3)).astype(float)
    noisy = clean + level * generator.normal(0, 8, clean.shape)
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path)


def tid(folder):
    picture(folder / "reference_images/I01.BMP", 0)
    lines = []
    for kind in (1, 8, 24):
        for level in range(1, 6):
            picture(folder / f"distorted_images/i01_{kind:02}_{level}.bmp", level)
            lines.append(f"{6 - level + kind / 100} I01_{kind:02}_{level}.bmp")
    (folder / "mos_with_names.txt").write_text("\n".join(lines) + "\n")


def kadid(folder):
    picture(folder / "images/I01.png", 0)
    rows = ["dist_img,ref_img,dmos,var"]
    for level in range(1, 6):
        picture(folder / f"images/I01_11_{level:02}.png", level)
        rows.append(f"I01_11_{level:02}.png,I01.png,{5.5 - level},0.5")
    (folder / "dmos.csv").write_text("\n".join(rows) + "\n")


def csiq(folder):
    picture(folder / "src_imgs/1600.png", 0)
    rows = ["image,dst_idx,dst_type,dst_lev,dmos_std,dmos"]
    for kind, place in (("noise", "AWGN"), ("jpeg 2000", "jpeg2000")):
        for level in range(1, 6):
            picture(folder / f"dst_imgs/{place}/1600.{place}.{level}.png", level)
            rows.append(f"1600,1,{kind},{level},0.1,{level / 6}")
    (folder / "csiq.DMOS.csv").write_text("\n".join(rows) + "\n")


def live(folder):
    counts = {"jp2k": 227, "jpeg": 233, "wn": 174, "gblur": 174, "fastfading": 174}
    total = sum(counts.values())
    opinions, originals = np.zeros(total), np.ones(total)
    names = np.empty((1, total), object)
    names[:] = "a.bmp"
    picture(folder / "refimgs/a.bmp", 0)
    at = 0
    for kind, count in counts.items():
        (folder / kind).mkdir(exist_ok=True)
        for number in range(1, 7):
            picture(folder / kind / f"img{number}.bmp", number)
            opinions[at + number - 1], originals[at + number - 1] = 10 * number, 0
        at += count
    savemat(folder / "dmos_realigned.mat", {"dmos_new": opinions[None], "orgs": originals[None]})
    savemat(folder / "refnames_all.mat", {"refnames_all": names})


FOLDERS = {"tid2013": (tid, 15), "kadid10k": (kadid, 5), "csiq": (csiq, 10), "live": (live, 30)}


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDERS)
def test_a_database_is_read_from_its_folder_and_scored(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    build, count = FOLDERS[name]
    folder = tmp_path / "database"
    folder.mkdir()
    build(folder)
    database = agree.load(folder)
    assert (database.name, len(database.opinions)) == (name, count)
    assert all(one.image.is_file() and one.reference.is_file() for one in database.opinions)
    # The worse the noise the worse the opinion, in the made-up lists: psnr must agree wholly within a distortion.
    assert main(["agree", str(folder), "-m", "psnr", "l1", "--resamples", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["psnr"]["all"]["pairs"] == count
    for metric in ("psnr", "l1"):
        for kind, one in found[metric].items():
            if kind != "all":
                assert one["srcc"][0] == pytest.approx(1)
    # The csv it left is a table that the same verb reads.
    assert main(["agree", f"agree-{name}.csv", "-m", "psnr", "--resamples", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["psnr"] == found["psnr"]


def test_the_spreadsheet_of_csiq_is_read(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="csiq's spreadsheet needs openpyxl")
    csiq(tmp_path)
    with (tmp_path / "csiq.DMOS.csv").open() as file:
        rows = list(csv.reader(file))
    wanted = agree.load(tmp_path)
    (tmp_path / "csiq.DMOS.csv").unlink()
    book = openpyxl.Workbook()
    sheet = book.create_sheet("all_by_image")
    sheet.append(["", "", "CSIQ"])
    for row in rows:
        sheet.append([None, None, None, *row])
    book.save(tmp_path / "csiq.DMOS.xlsx")
    assert agree.load(tmp_path) == wanted


def test_a_run_that_was_stopped_is_taken_up_and_other_metrics_are_not_mixed_in(tmp_path):
    tid(tmp_path)
    database, path, asked = agree.load(tmp_path), tmp_path / "out.csv", []

    def scorer(judged, reference):
        if len(asked) == 7:
            raise KeyboardInterrupt
        asked.append(judged)
        return {"m": float(len(asked))}

    with pytest.raises(KeyboardInterrupt):
        agree.score(database, {"m": "m|v:1"}, scorer, path)
    assert len(path.read_text().splitlines()) == 1 + 7
    first = list(asked)
    asked.clear()
    agree.score(database, {"m": "m|v:1"}, lambda judged, _: (asked.append(judged), {"m": 0.5})[1], path)
    assert [*first, *asked] == [one.image for one in database.opinions]
    with pytest.raises(ValueError, match=re.escape("m|v:1, not of m|v:2; name another file")):
        agree.score(database, {"m": "m|v:2"}, scorer, path)


@pytest.mark.skipif(not (DATA / "tid2008").is_dir(), reason="the six images of TID2008 are not on this machine")
def test_the_six_images_of_tid2008_are_ordered_as_people_did(tmp_path):
    from lookalike.scoring.pair import measure

    opinions = {"I08_07_1": 5.1563, "I08_07_2": 4.5313, "I08_07_3": 3.5484, "I08_07_4": 2.5484}
    folder = DATA / "tid2008"
    for name in ("ssim", "ms_ssim", "psnr"):
        scores = [measure(folder / f"{image}.bmp", folder / "I08.BMP", name)[0].value or 0 for image in opinions]
        assert scores == sorted(scores, reverse=True)


# ---- what people get wrong


@pytest.mark.parametrize(
    ("text", "extra", "words"),
    [
        ("image,ssim\na,0.5\n", [], "needs a column of opinions .mos, dmos, opinion.; it has image, ssim"),
        ("mos,ssim\n1,0.5\nhigh,0.5\n", [], "line 3: mos is 'high', not a number"),
        ("mos,ssim\n1,0.5\n2,x\n", [], "line 3: ssim is 'x', not a number"),
        ("mos,ssim\n1,0.5\n2,0.6\n", ["-m", "sism"], "has no column 'sism' .did you mean 'ssim'."),
        ("mos,ssim\n1,0.5\nnan,0.5\n", [], "line 3: mos is 'nan', not a finite number"),
        ("mos,ssim,psnr\n1,x,30\n2,0.6,31\n", [], "line 2: ssim is 'x', not a number"),
        ("mos,ssim\n" + 6 * "1,\n" + "2,0.6\n", [], "at least 5 pairs, got 1 with a score of ssim"),
        ("mos,ssim\n" + 6 * "1,0.5\n", [], "all scores of ssim are 0.5"),
        ("mos,ssim\n" + "".join(f"{n},{n}\n" for n in range(6)), ["--seed", "-1"], "seed must be a whole number"),
        ("mos,ssim\n", [], "has no rows below its header"),
        ("mos,name\n1,a\n", [], "has no column of scores beside 'mos'"),
        ("mos,ssim\n1,0.5\n2,0.6\n", [], "at least 5 pairs"),
    ],
)
def test_a_wrong_table_is_one_line_and_exit_code_2(text, extra, words, tmp_path, capsys):
    path = tmp_path / "scores.csv"
    path.write_text(text)
    assert main(["agree", str(path), *extra]) == 2
    said = capsys.readouterr().err
    assert re.search(words, said)
    assert len(said.splitlines()) == 1


def test_a_wrong_folder_is_one_line(tmp_path, capsys):
    assert main(["agree", str(tmp_path / "nowhere.csv")]) == 2
    assert "no such file" in capsys.readouterr().err
    assert main(["agree", str(tmp_path)]) == 2
    assert "looks like none of tid2008, tid2013, kadid10k, csiq, live" in capsys.readouterr().err
    tid(tmp_path)
    (tmp_path / "distorted_images/i01_08_3.bmp").unlink()
    assert main(["agree", str(tmp_path)]) == 2
    assert "has no distorted_images/I01_08_3.bmp" in capsys.readouterr().err


def changed(name, line):
    """Writes a list of opinions anew, with one more line at its end."""

    def change(folder):
        path = folder / name
        path.write_text(path.read_text() + line + "\n")

    return change


@pytest.mark.parametrize(
    ("make", "change", "words"),
    [
        (
            tid,
            changed("mos_with_names.txt", "3 foo.bmp"),
            "line 16: the image is 'foo.bmp', not IMAGE_NUMBER_LEVEL",
        ),
        (tid, changed("mos_with_names.txt", "3 I01_00_1.bmp"), "line 16: .* a number of 1 to 24"),
        (tid, changed("mos_with_names.txt", "nan I01_01_1.bmp"), "line 16: the opinion is 'nan', not a number"),
        (
            tid,
            lambda folder: (folder / "mos_with_names.txt").write_bytes(b"\xff\xfe"),
            "not the list .* tid2013 has",
        ),
        (kadid, changed("dmos.csv", "x"), "line 7: the image is 'x'"),
        (kadid, changed("dmos.csv", "I01_11_01.png"), "line 7: the opinion is None, not a number"),
        (csiq, changed("csiq.DMOS.csv", "1600,1,noise,x,0.1,0.2"), "line 12: the level is 'x', not a number"),
        (csiq, changed("csiq.DMOS.csv", "1600,1,noise"), "line 12: the level is None, not a number"),
        (live, lambda folder: (folder / "dmos_realigned.mat").write_bytes(b""), "mat: not a MATLAB file"),
        (live, lambda folder: (folder / "refnames_all.mat").write_bytes(b"nope" * 100), "mat: not a MATLAB file"),
    ],
)
def test_a_wrong_list_of_opinions_is_one_line_that_names_the_place(make, change, words, tmp_path, capsys):
    make(tmp_path)
    change(tmp_path)
    assert main(["agree", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert re.search(words, said)
    assert len(said.splitlines()) == 1


def test_a_column_is_one_of_numbers_by_what_most_of_its_cells_are(tmp_path):
    path = tmp_path / "scores.csv"
    rows = [f"{n},{'' if n == 0 else n / 10},{'7' if n == 3 else f'I{n}'}" for n in range(8)]
    path.write_text("\n".join(["mos,ssim,name", *rows]))
    found = agree.read(path)
    assert list(found.scores) == ["ssim"]
    assert np.isnan(found.scores["ssim"]).tolist() == [True] + 7 * [False]


def test_the_direction_of_an_unknown_metric_comes_from_the_data_and_that_is_said(tmp_path, capsys):
    rows = ["dmos,Distortion,ssim,mine"] + [f"{n},blur,{1 - n / 20},{n}" for n in range(8)]
    path = tmp_path / "scores.csv"
    path.write_text("\n".join(rows))
    assert main(["agree", str(path), "--resamples", "10"]) == 0
    printed = capsys.readouterr()
    assert "mine: no metric of the catalogue; its direction is taken from the data" in printed.err
    assert "SRCC by distortion" in printed.out
    assert re.search(r"ssim +8 +1\.0000 \[1\.0000, 1\.0000\]", printed.out)


def test_metrics_are_compared_on_the_images_that_all_have(tmp_path, capsys):
    path = tmp_path / "scores.csv"
    lines = [f"{n},{n + n % 3},{'' if n in (3, 4, 5) else n}" for n in range(20)]
    path.write_text("mos,psnr,ssim\n" + "\n".join(lines) + "\n")
    command = ["agree", str(path), "--resamples", "0"]
    assert main(command) == 3
    said = capsys.readouterr()
    assert "3 of 20 images are left out, not every metric has a score: ssim lacks 3" in said.err
    assert [line.split()[:2] for line in said.out.splitlines()[2:4]] == [["psnr", "17"], ["ssim", "17"]]
    assert main([*command, "--allow-missing"]) == 0
    assert main([*command, "-m", "psnr"]) == 0


@pytest.mark.parametrize(
    ("text", "extra", "words"),
    [
        ("mos,ssim,ssim\n1,0.5,0.6\n", [], "has several columns 'ssim'; rename or drop all but one"),
        ("mos,mos,ssim\n1,2,0.6\n", [], "has several columns 'mos'"),
        ("mos,MOS,ssim\n1,2,0.6\n", [], "mos and MOS could be meant; name the column that is"),
        ("mos,ssim\n1,0.5\n2\n", [], "line 3: has not the 2 cells of the header"),
        ("mos,ssim\n1,0.5,7\n", [], "line 2: has not the 2 cells of the header"),
        ("mos,ssim\n1,0.5\n", ["-m", "ssim", "ssim"], "a metric is named twice in ssim, ssim"),
    ],
)
def test_a_table_that_can_be_read_in_two_ways_is_refused(text, extra, words, tmp_path, capsys):
    path = tmp_path / "scores.csv"
    path.write_text(text)
    assert main(["agree", str(path), *extra]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert words in line


def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_a_name(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("mos,ssim\n1,0.5\n2,0.6\n", encoding="utf-8-sig")
    assert list(agree.read(path).scores) == ["ssim"]

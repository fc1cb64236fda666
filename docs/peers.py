"""Write docs/audit-of-peers.md, the audit of other libraries' losses and of presets: ``python -m docs.peers``."""

from __future__ import annotations

import dataclasses
import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lookalike import audit
from lookalike.audit import figures
from lookalike.losses.presets import PRESETS
from lookalike.metric import PROMISES
from lookalike.records import runs

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "audit-of-peers.md"
LIMIT_S = 300  # of one loss
MARKS = {"kept": "✓", "broken": "✗", "declined": "–"}
PIQ = (
    "SSIMLoss", "MultiScaleSSIMLoss", "InformationWeightedSSIMLoss", "VIFLoss", "FSIMLoss", "SRSIMLoss", "GMSDLoss",
    "MultiScaleGMSDLoss", "VSILoss", "DSSLoss", "HaarPSILoss", "MDSILoss",
)  # fmt: skip
PIQA = ("SSIM", "MS_SSIM", "GMSD", "MS_GMSD", "MDSI", "HaarPSI", "VSI", "FSIM")
FRAME_ANALYTICS = (
    "SSIM", "MSSSIM", "IWSSIM", "VIFP", "FSIM", "SRSIM", "GMSD", "MS_GMSD", "VSI", "DSS", "HAARPSI", "MDSI", "NLPD",
    "CIEDE2000", "FLIP", "PSNR_HVS_M",
)  # fmt: skip
TORCHMETRICS = (
    "structural_similarity_index_measure", "multiscale_structural_similarity_index_measure",
    "visual_information_fidelity", "universal_image_quality_index",
)  # fmt: skip
TARGETS = (
    ("pytorch-msssim", ("pytorch_msssim:SSIM", "pytorch_msssim:MS_SSIM")),
    ("piq", tuple(f"piq:{name}" for name in PIQ)),
    ("piqa", tuple(f"piqa:{name}" for name in PIQA)),
    ("torchmetrics", tuple(f"torchmetrics.functional.image:{name}" for name in TORCHMETRICS)),
    ("kornia", ("docs.peers:KorniaSSIM", "kornia.losses:MS_SSIMLoss")),
    ("lpips", ("docs.peers:LPIPSAlex",)),
    ("frame-analytics", tuple(f"frame_analytics:{name}" for name in FRAME_ANALYTICS)),
)


class KorniaSSIM(nn.Module):
    """kornia's SSIM loss, which cannot be built without a window size."""

    def __init__(self) -> None:
        super().__init__()
        self.loss: Any = importlib.import_module("kornia.losses").SSIMLoss(11)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss."""
        return self.loss(x, y)


class LPIPSAlex(nn.Module):
    """lpips.LPIPS(net="alex") as most call it, its trunk's weights taken from this machine, not downloaded."""

    def __init__(self) -> None:
        super().__init__()
        from lookalike import weights

        self.loss: Any = importlib.import_module("lpips").LPIPS(net="alex", pnet_rand=True, verbose=False)
        trunk = weights.load("alexnet").state
        own = self.loss.net.state_dict()
        ours = {name.removeprefix("features."): value for name, value in trunk.items() if "features" in name}
        self.loss.net.load_state_dict({name: ours[name.split(".", 1)[1]] for name in own})

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The distance, of images in [0, 1] as they come."""
        return self.loss(x, y)


class Row(NamedTuple):
    """One loss: its findings and figures, or why there are none."""

    name: str
    findings: list[dict[str, Any]]
    figures: dict[str, Any]
    problem: str = ""


def main(arguments: Sequence[str]) -> int:
    """Audit all that is installed, each loss in a process of its own, and write the page."""
    if arguments:
        print(json.dumps(_audited(arguments[0])._asdict()))
        return 0
    groups, absent = [], []
    for package, targets in TARGETS:
        try:
            groups.append((f"{package} {metadata.version(package)}", targets))
        except metadata.PackageNotFoundError:
            absent.append(package)
    published = [name for name in PRESETS if name.endswith("@published")]
    groups.append(("The seeds' nine, as published", published))
    groups.append(("The seeds' nine, as meant", [name.removesuffix("@published") for name in published]))
    groups.append(("lookalike", ("ssim", "ms_ssim", "l1", "0.84*ms_ssim + 0.16*l1")))
    with ThreadPoolExecutor(2) as pool:
        sections = [(title, list(pool.map(_apart, targets))) for title, targets in groups]
    runs.write_text(PAGE, _page(sections, absent))
    print(f"{PAGE.relative_to(ROOT)}: {sum(len(rows) for _, rows in sections)} losses")
    return 0


def _apart(target: str) -> Row:
    """One loss in a process that may crash or hang."""
    name = target.rsplit(":", 1)[-1]
    command = [sys.executable, "-W", "ignore", "-m", "docs.peers", target]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return Row(name, [], {}, f"not finished after {LIMIT_S} s")
    if done.returncode:
        return Row(name, [], {}, done.stderr.strip().splitlines()[-1])
    return Row(**json.loads(done.stdout))


def _audited(target: str) -> Row:
    torch.set_num_threads(1)
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    importlib.import_module("torchvision_schemas").register_torchvision_schemas()
    subject = audit.subject_of(target)
    findings = [dataclasses.asdict(finding) for finding in audit.run(subject)]
    return Row(target.rsplit(":", 1)[-1], findings, dataclasses.asdict(figures.measure(subject)))


def _page(sections: Sequence[tuple[str, Sequence[Row]]], absent: Sequence[str]) -> str:
    lines = [
        "# The audit of peers",
        "",
        f"Made by `python -m docs.peers` (torch {torch.__version__.split('+')[0]}): every promise of",
        "`lookalike audit`, checked on other libraries' losses as they come, with their default options and images",
        "in [0, 1], on CPU. What a library does not promise it has not broken: read ✗ as *do not rely on it*.",
        "",
        "✓ kept   ✗ not kept   – does not apply",
        "",
    ]
    if absent:
        lines += [f"Not installed here and left out: {', '.join(absent)}.", ""]
    header = [
        "| | " + " | ".join(promise.replace("_", " ") for promise in PROMISES) + " |",
        "|---|" + ":-:|" * len(PROMISES),
    ]
    for title, rows in sections:
        lines += [f"## {title}", "", *header]
        lines += [
            f"| `{row.name}` | " + " | ".join(MARKS[one["verdict"]] for one in row.findings) + " |"
            for row in rows
            if row.findings
        ]
        lines += [""]
        for row in rows:
            if row.problem:
                lines.append(f"- `{row.name}` could not be audited: {_short(row.problem)}")
            for one in row.findings:
                if one["verdict"] == "broken":
                    lines.append(f"- `{row.name}`, {one['promise'].replace('_', ' ')}: {_short(one['detail'])}")
        lines += ["", *_figures(rows), ""]
    return "\n".join(lines).rstrip() + "\n"


def _figures(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| | pixels reached | gradient on the centre 3×3, × an even share | red ↔ blue | a negative costs, × mild"
        " noise | gradient norm at noise .01 / .05 / .2 |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        if not row.figures:
            continue
        found = row.figures
        pull = "failed" if found["pull"] is None else " / ".join(f"{value:.3g}" for value in found["pull"])
        centre = None if found["centre"] is None else found["centre"] / found["even"]
        lines.append(
            f"| `{row.name}` | {_figure(found['reached'], '.1%')} | {_figure(centre, '.3g')} "
            f"| {_figure(found['swapped'], '.1%')} | {_figure(found['negative'], '.3g')} | {pull} |"
        )
    return lines


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _short(text: str) -> str:
    plain = " ".join(text.replace("|", "/").split())
    return plain if len(plain) <= 200 else f"{plain[:199]}…"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

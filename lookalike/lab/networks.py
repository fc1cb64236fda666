"""The networks of the lab. Reflection padding is made of slices, which has a deterministic gradient on CUDA too."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def reflect(x: Tensor, padding: int) -> Tensor:
    """Pad height and width by reflection, the edge pixel not repeated.

    Example:
        >>> reflect(torch.tensor([[[[1.0, 2.0, 3.0]] * 3]]), 1)[0, 0, 0].tolist()
        [2.0, 1.0, 2.0, 3.0, 2.0]
    """
    for axis in (2, 3):
        size = x.shape[axis]
        before = x.narrow(axis, 1, padding).flip(axis)
        after = x.narrow(axis, size - 1 - padding, padding).flip(axis)
        x = torch.cat([before, x, after], axis)
    return x


class Reflect(nn.Module):
    """`reflect` as a layer."""

    def __init__(self, padding: int) -> None:
        super().__init__()
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        """Pad a batch."""
        return reflect(x, self.padding)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(Reflect(kernel // 2), nn.Conv2d(inputs, outputs, kernel, stride))


class Autoencoder(nn.Module):
    """Three halvings, a bottleneck of few channels, three doublings; output in (0, 1).

    Args:
        width: channels at half the resolution.
        bottleneck: channels at an eighth of it: all that is known of 8 x 8 x 3 values.
    """

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        deep = 2 * width
        self.encode = nn.Sequential(
            _conv(3, width, 3, 2), nn.SiLU(),
            _conv(width, deep, 3, 2), nn.SiLU(),
            _conv(deep, deep, 3, 2), nn.SiLU(),
            _conv(deep, bottleneck, 1),
        )  # fmt: skip
        self.decode = nn.Sequential(
            _conv(bottleneck, 4 * deep, 3), nn.PixelShuffle(2), nn.SiLU(),
            _conv(deep, 4 * deep, 3), nn.PixelShuffle(2), nn.SiLU(),
            _conv(deep, 4 * width, 3), nn.PixelShuffle(2), nn.SiLU(),
            _conv(width, 3, 3), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """``(n, 3, h, w)`` in [0, 1], sides that are multiples of 8, to the same."""
        return self.decode(self.encode(x))


class Restorer(nn.Module):
    """Three convolutions with PReLU, as in Zhao et al. 2017, that learn what to add to the input.

    Args:
        width: channels; 64 in the paper.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.Conv2d(width, 3, 5)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)  # begins as the identity
        self.layers = nn.Sequential(
            _conv(3, width, 9), nn.PReLU(width), _conv(width, width, 5), nn.PReLU(width), Reflect(2), last
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(n, 3, h, w)`` in [0, 1] to the same, not clipped."""
        return x + self.layers(x)


class _Residual(nn.Module):
    def __init__(self, width: int, affine: bool, relu_after: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _conv(width, width, 3), nn.InstanceNorm2d(width, affine=affine), nn.ReLU(),
            _conv(width, width, 3), nn.InstanceNorm2d(width, affine=affine),
        )  # fmt: skip
        self.relu_after = relu_after

    def forward(self, x: Tensor) -> Tensor:
        y = x + self.layers(x)
        return y.relu() if self.relu_after else y


class Generator(nn.Module):
    """CycleGAN's ResNet generator: c7s1, two halvings, residual blocks, two doublings, c7s1, tanh.

    Nothing is normalised before tanh: an instance norm there would give every picture the same mean colour.

    Args:
        width: channels at full resolution.
        blocks: residual blocks, 6 for 128 px and 9 for 256 px.
        as_published: the seed's: learned scale and offset, a norm before tanh, ReLU after each block's sum.
    """

    def __init__(self, width: int, blocks: int, as_published: bool = False) -> None:
        super().__init__()

        def norm(channels: int) -> nn.Module:
            return nn.InstanceNorm2d(channels, affine=as_published)

        def up(inputs: int, outputs: int) -> list[nn.Module]:
            layer = nn.ConvTranspose2d(inputs, outputs, 3, 2, padding=1, output_padding=1)
            return [layer, norm(outputs), nn.ReLU()]

        self.layers = nn.Sequential(
            _conv(3, width, 7), norm(width), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1), norm(2 * width), nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 3, 2, 1), norm(4 * width), nn.ReLU(),
            *(_Residual(4 * width, as_published, as_published) for _ in range(blocks)),
            *up(4 * width, 2 * width), *up(2 * width, width),
            _conv(width, 3, 7), *([norm(3)] if as_published else []), nn.Tanh(),
        )  # fmt: skip
        self.apply(_small_normal)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, 3, h, w)`` in [-1, 1], sides that are multiples of 4, to the same."""
        return self.layers(x)


class Discriminator(nn.Module):
    """The 70 x 70 PatchGAN: a map of logits, one for each patch.

    Args:
        width: channels of the first layer.
        as_published: the seed's: its fourth convolution halves too, and its norms are learned.
    """

    def __init__(self, width: int, as_published: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        strides = (2, 2, 2) if as_published else (2, 2, 1)
        for at, stride in enumerate(strides):
            inputs, outputs = width * 2**at, width * 2 ** (at + 1)
            layers += [
                nn.Conv2d(inputs, outputs, 4, stride, 1),
                nn.InstanceNorm2d(outputs, affine=as_published),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))
        self.apply(_small_normal)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, 3, h, w)`` in [-1, 1] to logits ``(n, 1, h', w')``."""
        return self.layers(x)


def _small_normal(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

"""The compiled module as Python sees it: the signatures of `module.cpp`. Addresses are those of `data_ptr`."""

from collections.abc import Sequence

Shape = tuple[int, int, int, int]
Strides = tuple[int, int, int]

def instruction_set() -> str: ...
def instruction_sets() -> list[str]: ...
def use_instruction_set(name: str) -> None: ...

class Window:
    def __init__(self, taps: Sequence[float], border: int, c1: float, c2: float) -> None: ...

class Images:
    def __init__(
        self,
        shape: Shape,
        x: int,
        x_strides: Strides,
        y: int,
        y_strides: Strides,
        bytes: bool,
        mask: int = 0,
        mask_strides: Strides = (0, 0, 0),
    ) -> None: ...

class Upstream:
    def __init__(
        self,
        ssim: float = 0.0,
        cs: float = 0.0,
        l1: float = 0.0,
        scales: int = 0,
        ssim_map: int = 0,
        cs_map: int = 0,
    ) -> None: ...

def forward(
    window: Window, images: Images, threads: int, means: int, l1: int, ssim_map: int, cs_map: int, /
) -> None: ...
def look(window: Window, images: Images, threads: int, means: int, /) -> tuple[float, float]: ...
def gradient(
    window: Window, images: Images, threads: int, upstream: Upstream, means: int, l1: int, gx: int, gy: int, /
) -> None: ...
def rescale(
    gradient: int,
    planes: int,
    pixels: int,
    upstream: int,
    columns: int,
    column: int,
    made_with: float,
    threads: int,
    /,
) -> bool: ...
def pyramid(
    window: Window,
    last: Window,
    images: Images,
    halving: int,
    levels: int,
    threads: int,
    means: int,
    gx: Sequence[int],
    gy: Sequence[int],
    /,
) -> None: ...
def collapse(shape: Shape, halving: int, gradients: Sequence[int], upstream: int, threads: int, /) -> None: ...
def halved_shape(height: int, width: int, halving: int, /) -> tuple[int, int]: ...
def gradient_deviation(
    images: Images,
    weights: Sequence[float],
    masking: float,
    constant: float,
    correction: int,
    threads: int,
    deviations: int,
    /,
) -> None: ...
def smooth(batches: Sequence[tuple[Shape, int, Strides, int]], taps: Sequence[float], threads: int, /) -> None: ...

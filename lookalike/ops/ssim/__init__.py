"""Local structural similarity of two batches: `means` per plane, `maps` per position, `pyramid` per scale."""

from __future__ import annotations

from lookalike.ops._kernels import Op
from lookalike.ops.ssim import reference

means = Op(reference.means)
maps = Op(reference.maps)
pyramid = Op(reference.pyramid)

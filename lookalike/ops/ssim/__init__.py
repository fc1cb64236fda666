"""Local structural similarity of two batches, and its mix with L1: references, and kernels that may take a call.

`means` per plane (`looked_means`: and the extremes of the images), `maps` per position, `pyramid` per scale,
`l1_ssim` per image; each takes a pair and one setting.
"""

from __future__ import annotations

from lookalike.ops._kernels import Op
from lookalike.ops.ssim import cpu, gpu_calls, reference

means = Op(reference.means, cpu.means_kernel, gpu_calls.means_kernel)
looked_means = Op(reference.looked_means, cpu.looked_means_kernel)
maps = Op(reference.maps, cpu.maps_kernel, gpu_calls.maps_kernel)
pyramid = Op(reference.pyramid, cpu.pyramid_kernel, gpu_calls.pyramid_kernel)
l1_ssim = Op(reference.l1_ssim, cpu.l1_ssim_kernel, gpu_calls.l1_ssim_kernel)

"""Small ICC profiles, made here: of curves and a matrix, of one curve for grey, and of a table for CMYK.

Source: ICC.1:2022, the header (7.2), ``XYZ``, ``curv``, ``para`` and ``mft2`` (10.31, 10.6, 10.18, 10.10).
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

D50 = np.array([0.9642, 1.0, 0.8249])
DISPLAY_P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
ADOBE_RGB = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
_SRGB_NUMBERS = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
SRGB_CURVE = b"para\0\0\0\0" + struct.pack(">HH5i", 3, 0, *(round(v * 65536) for v in _SRGB_NUMBERS))


def gamma_curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def table_curve(values: NDArray[np.float64]) -> bytes:
    levels = np.round(np.asarray(values) * 65535).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", len(levels)) + levels.tobytes()


def xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A version 2 (4 where a curve is parametric) profile of class ``kind`` ("mntr", "prtr")."""
    version = 0x04300000 if any(tag.startswith(b"para") for tag in tags.values()) else 0x02400000
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"made\0" + bytes(78)
    if version >> 24 == 4:
        text = b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 8, 28) + "made".encode("utf-16-be")
    tags = {
        b"desc": text,
        b"cprt": text if version >> 24 == 4 else b"text\0\0\0\0none\0",
        b"wtpt": xyz(D50),
        **tags,
    }
    at, table, data = 132 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += struct.pack(">4sII", name, at + len(data), len(content))
        data += content
    size = at + len(data)
    header = struct.pack(
        ">I4sI4s4s4s12s4s4s", size, bytes(4), version, kind, space, connection, bytes(12), b"acsp", bytes(4)
    )
    header += bytes(68 - len(header)) + struct.pack(">3i", *(round(v * 65536) for v in D50))
    return header + bytes(128 - len(header)) + struct.pack(">I", len(tags)) + table + data


def rgb_profile(matrix: NDArray[np.float64], curve: bytes) -> bytes:
    names = zip((b"rXYZ", b"gXYZ", b"bXYZ"), matrix.T, strict=True)
    tags = {name: xyz(column) for name, column in names}
    return profile(b"mntr", b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def grey_profile(curve: bytes) -> bytes:
    return profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": curve})


def cmyk_profile(black: float) -> bytes:
    """Lab by a table of 9 steps an ink; ``black`` is how dark full black ink is, 0 to 1."""
    steps = np.linspace(0, 1, 9)
    inks = np.stack(np.meshgrid(steps, steps, steps, steps, indexing="ij"), -1).reshape(-1, 4)
    light = (1 - inks[:, :3]) * (1 - black * inks[:, 3:])
    white = SRGB @ (light**2.2).T / D50[:, None]
    f = np.where(white > 216 / 24389, np.cbrt(white), (24389 / 27 * white + 16) / 116)
    lab = np.stack([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])], 1)
    coded = np.stack([lab[:, 0] / 100 * 65280, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256], 1)
    table = np.round(coded.clip(0, 65535)).astype(">u2").tobytes()
    ends = struct.pack(">2H", 0, 65535)
    identity = struct.pack(">9i", *(65536, 0, 0, 0, 65536, 0, 0, 0, 65536))
    a2b = b"mft2\0\0\0\0" + bytes([4, 3, 9, 0]) + identity + struct.pack(">HH", 2, 2) + ends * 4 + table + ends * 3
    return profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": a2b, b"A2B1": a2b})


def encoded(linear: NDArray[np.float64], curve: str) -> NDArray[np.float64]:
    """Numbers in [0, 1] of light, by sRGB's curve or a power."""
    linear = linear.clip(0, 1)
    if curve == "srgb":
        return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return linear ** (1 / float(curve))

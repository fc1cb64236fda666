// What one call asks of the kernel of smoothing: plain data, the same for every instruction set.
#pragma once

#include <cstddef>

namespace lookalike {

constexpr int MaxReach = 16;
constexpr int SmoothTile = 512;  // columns at a time: the rows that a window covers then stay in the first cache level

// A plane, where it goes, and a window: weights[k] belongs to the pixels k away from the middle.
struct Smoothing {
  const float* from;
  ptrdiff_t from_row;         // from row to row, in elements; `to` is contiguous
  float* to;
  int height, width;
  int reach;
  float weights[MaxReach + 1];
};

// What the kernel works in: two rows of a tile, its margins and a whole vector, in floats.
constexpr size_t smooth_scratch = 2 * (SmoothTile + 2 * MaxReach + 16);

}  // namespace lookalike

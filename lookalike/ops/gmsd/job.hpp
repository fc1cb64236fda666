// What one call asks of the kernel of gradient similarity: plain data, the same for every instruction set.
#pragma once

#include <cstddef>

namespace lookalike {

// Two planes, and how their gradients are compared.
struct GradientPair {
  const float *x, *y;
  ptrdiff_t x_row, y_row;     // from row to row, in elements
  int height, width;
  float masking, constant;
};

// What the kernel works in: two rows of doubles, filled up to whole vectors, and one of float zeros.
constexpr size_t scratch_doubles(int width) { return 3 * size_t(width) + 32; }

}  // namespace lookalike

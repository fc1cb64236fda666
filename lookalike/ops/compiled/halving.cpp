// Between the scales of a pyramid: the mean of 2 x 2 pixels, and its adjoint. Compiled once per instruction set.
#include "halving.hpp"

#include <cstddef>
#include <cstdint>

#include "vectors.hpp"

namespace lookalike {
namespace LOOKALIKE_ISA {

// Where half `k` (0 or 1) of coarse position i lies on the fine axis; −1 for a zero.
LOOKALIKE_INLINE int covered(int i, int k, int offset, int size, bool zero_outside) {
  const int position = 2 * i + k + offset;
  if (position >= 0 && position < size) return position;
  return zero_outside ? -1 : position < 0 ? 0 : size - 1;
}

template <class Pixel>
void halve(const Halving& h, const Pixel* fine, ptrdiff_t fine_row, float* coarse) {
  for (int i = 0; i < h.coarse_height; i++, coarse += h.coarse_width) {
    const int upper = covered(i, 0, h.row_offset, h.height, h.zero_outside);
    const int lower = covered(i, 1, h.row_offset, h.height, h.zero_outside);
    const Pixel* a = fine + (upper < 0 ? lower : upper) * fine_row;
    const Pixel* b = fine + (lower < 0 ? upper : lower) * fine_row;
    const float weight = upper < 0 || lower < 0 ? 0.125f : 0.25f;  // the row that is zero is replaced by the other
    const auto at = [&](int column) { return column < 0 ? 0.f : float(a[column]) + float(b[column]); };
    const auto edge = [&](int j) {
      coarse[j] = weight * (at(covered(j, 0, h.column_offset, h.width, h.zero_outside)) +
                            at(covered(j, 1, h.column_offset, h.width, h.zero_outside)));
    };
    const int first = h.column_offset < 0, last = least(h.coarse_width, (h.width - h.column_offset) / 2);
    if (first) edge(0);
    const Pixel *left_a = a + h.column_offset, *left_b = b + h.column_offset;
    for (int j = first; j < last; j++)
      coarse[j] = weight * ((float(left_a[2 * j]) + float(left_b[2 * j])) +
                            (float(left_a[2 * j + 1]) + float(left_b[2 * j + 1])));
    for (int j = last; j < h.coarse_width; j++) edge(j);
  }
}

void halve_plane(const Halving& h, const void* fine, ptrdiff_t fine_row, bool bytes, float* coarse) {
  if (bytes) halve(h, static_cast<const uint8_t*>(fine), fine_row, coarse);
  else halve(h, static_cast<const float*>(fine), fine_row, coarse);
}

// How often a fine position is counted by the one coarse position that covers it.
LOOKALIKE_INLINE float count_of(int position, int offset, int size, int coarse_size, bool zero_outside) {
  const int i = (position - offset) >> 1;
  if (i >= coarse_size) return 0;
  return (covered(i, 0, offset, size, zero_outside) == position) + (covered(i, 1, offset, size, zero_outside) == position);
}

void add_unhalved(const Halving& h, const float* coarse, float scale, float* fine) {
  for (int row = 0; row < h.height; row++, fine += h.width) {
    const float count = count_of(row, h.row_offset, h.height, h.coarse_height, h.zero_outside);
    const float* from = coarse + ptrdiff_t(least((row - h.row_offset) >> 1, h.coarse_height - 1)) * h.coarse_width;
    const float quarter = 0.25f * count;
    const auto edge = [&](int column) {
      const float times = count_of(column, h.column_offset, h.width, h.coarse_width, h.zero_outside);
      const int j = least((column - h.column_offset) >> 1, h.coarse_width - 1);
      fine[column] = scale * fine[column] + quarter * times * from[j];
    };
    const int first = -h.column_offset, last = least(h.coarse_width, (h.width - h.column_offset) / 2);
    if (first) edge(0);
    float* left = fine + h.column_offset;
    for (int j = first; j < last; j++) {
      const float gradient = quarter * from[j];
      left[2 * j] = scale * left[2 * j] + gradient;
      left[2 * j + 1] = scale * left[2 * j + 1] + gradient;
    }
    for (int column = most(first, 2 * last + h.column_offset); column < h.width; column++) edge(column);
  }
}

}  // namespace LOOKALIKE_ISA
}  // namespace lookalike

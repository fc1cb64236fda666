// How unlike the gradients of two planes are, pixel by pixel. Compiled once per instruction set.
//
// With a and b the squared lengths of the two gradients (Prewitt's operator, zeros beyond the border), the similarity
// of Xue et al. 2014 and Zhang et al. 2017 is s = ((2 − m)·√(ab) + C) / (a + b − m·√(ab) + C). Taken instead is
//
//   d = 1 − s = (a + b − 2·√(ab)) / (a + b − m·√(ab) + C)
//
// which has the same variance and is small where the planes agree: exactly 0 where their gradients are equal. Two rows
// are walked at a time, twice, and nothing larger than them is kept:
//
//   compare      the four image rows about them are read, d is written to a buffer: a plain loop, left to the compiler
//   accumulate   d and d² are added up in double precision, which holds the square of a float32 exactly
//
// Pixels are differenced before they are added, so that a bright, flat plane loses no digits; and Prewitt's third is
// left out of the gradients and put into the constant. This file must not use the standard library's templates: see
// compiled/vectors.hpp.
#include "job.hpp"

#include "../compiled/vectors.hpp"

namespace lookalike {
namespace LOOKALIKE_ISA {

// Two image rows and their neighbours; a column beyond the border is zero, and so is a row.
struct Column {
  float above, upper, lower, below;
};
struct Rows {
  const float *above, *upper, *lower, *below;

  Rows(const float* image, ptrdiff_t step, int first, int height, const float* zeros) {
    const auto row = [&](int i) { return i >= 0 && i < height ? image + i * step : zeros; };
    above = row(first - 1), upper = row(first), lower = row(first + 1), below = row(first + 2);
  }

  LOOKALIKE_INLINE Column column(int j) const { return {above[j], upper[j], lower[j], below[j]}; }
};

// The squared lengths of the gradients in the two rows, nine times.
struct Energies {
  float upper, lower;

  LOOKALIKE_INLINE Energies(Column left, Column middle, Column right) {
    const float shared = (right.upper - left.upper) + (right.lower - left.lower);
    const auto squares = [](float across, float down) { return across * across + down * down; };
    upper = squares((right.above - left.above) + shared,
                    (left.lower - left.above) + (middle.lower - middle.above) + (right.lower - right.above));
    lower = squares(shared + (right.below - left.below),
                    (left.below - left.upper) + (middle.below - middle.upper) + (right.below - right.upper));
  }
};

LOOKALIKE_INLINE float unlikeness(float a, float b, float masking, float constant) {
  const float both = __builtin_sqrtf(a * b);
  // Asked, for the product of very small lengths is zero.
  const float apart = a == b ? 0.f : a + b - 2 * both;
  return apart / (a + b - masking * both + constant);
}

__attribute__((noinline)) void compare(const Rows x, const Rows y, int width, float masking, float constant,
                                       double* __restrict upper, double* __restrict lower) {
  const auto write = [&](int j, Energies a, Energies b) {
    upper[j] = unlikeness(a.upper, b.upper, masking, constant);
    lower[j] = unlikeness(a.lower, b.lower, masking, constant);
  };
  const auto edge = [&](int j) {
    const auto column = [&](const Rows& rows, int at) { return at < 0 || at == width ? Column{} : rows.column(at); };
    write(j, {column(x, j - 1), x.column(j), column(x, j + 1)}, {column(y, j - 1), y.column(j), column(y, j + 1)});
  };
  edge(0);
  for (int j = 1; j < width - 1; j++) {
    write(j, {x.column(j - 1), x.column(j), x.column(j + 1)}, {y.column(j - 1), y.column(j), y.column(j + 1)});
  }
  edge(width - 1);
}

struct Sums {
  VD sum[2] = {}, squares[2] = {};
};

// `row` is a whole number of vectors long.
__attribute__((noinline)) void accumulate(const double* row, int width, Sums& total) {
  Sums now = total;
  for (int j = 0; j < width; j += Lanes) {
    for (int k = 0; k < 2; k++) {
      VD d;
      std::memcpy(&d, row + j + k * (Lanes / 2), sizeof d);
      now.sum[k] += d;
      now.squares[k] += d * d;
    }
  }
  total = now;
}

// Writes Σd and Σd² of the rows [first_row, last_row) to sums[2]; `scratch` is scratch_doubles(width) doubles.
void sum_unlikeness(const GradientPair& pair, int first_row, int last_row, double* scratch, double* sums) {
  const int whole = (pair.width + Lanes - 1) / Lanes * Lanes;
  double *upper = scratch, *lower = upper + whole;
  float* zeros = reinterpret_cast<float*>(lower + whole);
  for (int j = 0; j < pair.width; j++) zeros[j] = 0;
  for (int j = pair.width; j < whole; j++) upper[j] = lower[j] = 0;
  Sums total;
  for (int i = first_row; i < last_row; i += 2) {
    const Rows x(pair.x, pair.x_row, i, pair.height, zeros), y(pair.y, pair.y_row, i, pair.height, zeros);
    compare(x, y, pair.width, pair.masking, 9 * pair.constant, upper, lower);
    accumulate(upper, pair.width, total);
    if (i + 1 < last_row) accumulate(lower, pair.width, total);
  }
  sums[0] = sums[1] = 0;
  for (int k = 0; k < 2; k++) {
    for (int lane = 0; lane < Lanes / 2; lane++) {
      sums[0] += total.sum[k][lane];
      sums[1] += total.squares[k][lane];
    }
  }
}

}  // namespace LOOKALIKE_ISA
}  // namespace lookalike

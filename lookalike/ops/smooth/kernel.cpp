// A symmetric separable window with zeros beyond the border. Compiled once per instruction set.
//
// Columns are walked in tiles, and of a tile one row after the other, in two passes:
//
//   down     the image rows that the window covers are added up into a row between two margins of zeros
//   across   that row is added up into the result
//
// Nothing larger than a row is kept, and no row depends on another. Pixels at the same distance from the middle are
// added before they are weighted. Where a row ends, the last vector is set back to end with it: its lanes compute once
// more what they computed before. This file must not use the standard library's templates: see compiled/vectors.hpp.
#include "job.hpp"

#include "../compiled/vectors.hpp"

namespace lookalike {
namespace LOOKALIKE_ISA {

// The reach of the window, and its weights in registers; a Reach of 0 stands for any.
template <int Reach>
struct Taps {
  V weights[(Reach ? Reach : MaxReach) + 1];
  int any;

  explicit Taps(const Smoothing& job) : any(job.reach) {
    for (int k = 0; k <= reach(); k++) weights[k] = splat(job.weights[k]);
  }
  LOOKALIKE_INLINE int reach() const { return Reach ? Reach : any; }

  // at(k): the vector k steps from the middle.
  template <class At>
  LOOKALIKE_INLINE V sum(const At& at) const {
    V total = weights[0] * at(0);
    for (int k = 1; k <= reach(); k++) total += weights[k] * (at(-k) + at(k));
    return total;
  }
};

// Calls whole(j) for vectors that fill the row, or some(count) where it is shorter than one.
template <class Whole, class Some>
LOOKALIKE_INLINE void along(int count, const Whole& whole, const Some& some) {
  if (count < Lanes) return some(count);
  int j = 0;
  for (; j <= count - Lanes; j += Lanes) whole(j);
  if (j < count) whole(count - Lanes);
}

template <int Reach>
__attribute__((noinline)) void down(const Taps<Reach> taps, const float* const* middle, int count, float* to) {
  const float* rows[2 * MaxReach + 1];  // a copy, which the compiler knows that no store can change
  for (int k = -taps.reach(); k <= taps.reach(); k++) rows[MaxReach + k] = middle[k];
  along(
      count, [&](int j) { store(to + j, taps.sum([&](int k) { return load(rows[MaxReach + k] + j); })); },
      [&](int some) { store_some(to, taps.sum([&](int k) { return load_some(rows[MaxReach + k], some); }), some); });
}

// `middle` is preceded by the margin and followed by another and a whole vector.
template <int Reach>
__attribute__((noinline)) void across(const Taps<Reach> taps, const float* middle, int count, float* to) {
  const auto sum = [&](int j) { return taps.sum([&](int k) { return load(middle + j + k); }); };
  along(count, [&](int j) { store(to + j, sum(j)); }, [&](int some) { store_some(to, sum(0), some); });
}

template <int Reach>
void smooth_tile(const Smoothing& job, int left, int right, int first_row, int last_row, float* scratch) {
  const Taps<Reach> taps(job);
  const int reach = taps.reach();
  const int start = left < reach ? 0 : left - reach, end = job.width - right < reach ? job.width : right + reach;
  float *row = scratch + MaxReach, *zeros = scratch + smooth_scratch / 2;
  for (size_t j = 0; j < smooth_scratch; j++) scratch[j] = 0;
  for (int i = first_row; i < last_row; i++) {
    const float* rows[2 * MaxReach + 1];
    for (int k = -reach; k <= reach; k++) {
      const bool inside = i + k >= 0 && i + k < job.height;
      rows[k + reach] = inside ? job.from + (i + k) * job.from_row + start : zeros;
    }
    down(taps, rows + reach, end - start, row + (start - left));
    across(taps, row, right - left, job.to + ptrdiff_t(i) * job.width + left);
  }
}

// The rows [first_row, last_row) of the result; `scratch` is smooth_scratch floats.
void smooth_rows(const Smoothing& job, int first_row, int last_row, float* scratch) {
  for (int left = 0; left < job.width; left += SmoothTile) {
    const int right = left + SmoothTile < job.width ? left + SmoothTile : job.width;
    const auto tile = job.reach == 4 ? smooth_tile<4> : smooth_tile<0>;
    tile(job, left, right, first_row, last_row, scratch);
  }
}

}  // namespace LOOKALIKE_ISA
}  // namespace lookalike

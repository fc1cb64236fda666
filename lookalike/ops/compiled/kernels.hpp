// The kernels of all operations, as a table for each instruction set.
#pragma once

#include <cstddef>

#include "../gmsd/job.hpp"
#include "../smooth/job.hpp"
#include "../ssim/job.hpp"
#include "halving.hpp"

namespace lookalike {

struct Kernels {
  const char* name;
  int lanes;  // floats of a vector

  // SSIM and its gradient; a block is `lanes` rows.
  size_t (*ssim_scratch_bytes)(const Job&);
  void (*ssim_forward)(const Job&, int plane, int first_block, int last_block, void* scratch);
  void (*ssim_gradient)(const Job&, int plane, int tile, int first_row, int last_row, void* scratch);
  // coarse = halved image, and fine = scale · fine + the adjoint of that, on one plane each.
  void (*halve)(const Halving&, const void* fine, ptrdiff_t fine_row, bool bytes, float* coarse);
  void (*add_unhalved)(const Halving&, const float* coarse, float scale, float* fine);
  void (*sum_unlikeness)(const GradientPair&, int first_row, int last_row, double* scratch, double* sums);
  void (*smooth_rows)(const Smoothing&, int first_row, int last_row, float* scratch);
};

extern const Kernels kernels_baseline;
#if defined(__x86_64__)
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
#endif

}  // namespace lookalike

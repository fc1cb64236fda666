// What one call asks of a kernel: plain data, the same for every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../gmsd/job.hpp"
#include "../smooth/job.hpp"

namespace lookalike {

constexpr int MaxTaps = 33;
constexpr int SumsPerBlock = 3;  // SSIM, contrast·structure, |x − y|

enum class Border : int { Valid, Reflect, Symmetric, Zero };

// Planes of one image batch: element (n, c, row, column) is at data + n·batch + c·channel + row·row + column.
struct Planes {
  const void* data;
  ptrdiff_t batch, channel, row;
};

struct Job {
  Planes x, y;
  int planes, channels, height, width;  // planes = batch · channels
  bool bytes;                           // uint8 pixels, else float32
  Border border;

  int taps;                   // odd, ≤ MaxTaps, symmetric
  bool uniform;               // all taps equal: sums without weights
  float weights[MaxTaps];
  int reach;                  // how far the map lies inside the extended image: 0 (valid) or taps / 2
  int map_height, map_width;

  float c1, c2;               // constants of the formula in the pixels' own scale, c2 already divided by `unbias`

  int rows_per_block, blocks; // the map in blocks of rows, one row a lane
  int tile_width, tiles;      // columns that one gradient task covers
  double* sums;               // [planes][blocks][tiles][SumsPerBlock]
  bool want_l1;

  float *ssim_map, *cs_map;   // both or none; (planes, map_height, map_width), contiguous

  // Upstream gradients: of the two means of each plane, or else (not null) of both maps; and of each |x − y|.
  const float* scales;        // [planes][2]
  const float *ssim_upstream, *cs_upstream;
  float l1_scale;
  float *gx, *gy;             // (planes, height, width), contiguous; gy may be null
};

// One step down a pyramid: the mean of 2 x 2 pixels. Pixel i of the coarse axis covers pixels 2i + offset and
// 2i + 1 + offset of the fine one; outside the image stands a zero, or the pixel at the edge.
struct Halving {
  int height, width, coarse_height, coarse_width;
  int row_offset, column_offset;  // 0 or −1
  bool zero_outside;
};

// One instruction set's kernels.
struct Kernels {
  const char* name;
  int lanes;  // rows of a block
  size_t (*scratch_bytes)(const Job&);
  void (*forward)(const Job&, int plane, int first_block, int last_block, void* scratch);
  void (*gradient)(const Job&, int plane, int tile, int first_row, int last_row, void* scratch);
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

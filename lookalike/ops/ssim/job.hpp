// What one call asks of a kernel: plain data, the same for every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

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
  Planes mask;                          // float32 weights of pixels in [0, 1]; data is null where all count alike
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
  float* extremes;            // [planes][blocks][2], least and greatest pixel where a block was read; or null

  float *ssim_map, *cs_map;   // both or none; (planes, map_height, map_width), contiguous

  // Upstream gradients: of the two sums of each plane, or else (not null) of both maps; and of each |x − y|.
  const float* scales;        // [planes][2]
  const float *ssim_upstream, *cs_upstream;
  const float* l1_scales;     // [planes]
  float *gx, *gy;             // (planes, height, width), contiguous; gy may be null
};

}  // namespace lookalike

// One step down a pyramid: plain data, the same for every instruction set.
#pragma once

namespace lookalike {

// The mean of 2 x 2 pixels. Pixel i of the coarse axis covers pixels 2i + offset and
// 2i + 1 + offset of the fine one; outside the image stands a zero, or the pixel at the edge.
struct Halving {
  int height, width, coarse_height, coarse_width;
  int row_offset, column_offset;  // 0 or −1
  bool zero_outside;
};

}  // namespace lookalike

// The call that Python makes to smooth.
#pragma once

#include <vector>

#include "../compiled/batches.hpp"

namespace lookalike {

// A batch of float32 pixels, and where its contiguous result goes.
using SmoothedBatch = std::tuple<Shape, Address, Strides, Address>;

// Correlates every plane with a symmetric window of an odd number of taps along both axes, zeros beyond the border.
// All planes are of one height and width.
void smooth(const std::vector<SmoothedBatch>&, const std::vector<double>& taps, int threads);

}  // namespace lookalike

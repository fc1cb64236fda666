// The call that Python makes for GMSD.
#pragma once

#include <vector>

#include "../compiled/batches.hpp"

namespace lookalike {

// Writes √Σ w·v of each plane to deviations[planes]: over scales, the first of full size, the weight times the variance
// of the gradient similarity, which is the sum of squared deviations over the number of pixels less `correction`.
// Pixels are float32. A scale of weight 0 is passed over.
void gradient_deviation(const Images&, const std::vector<double>& weights, float masking, float constant,
                        int correction, int threads, Address deviations);

}  // namespace lookalike

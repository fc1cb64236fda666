// The calls that Python makes to SSIM: addresses, sizes and strides in; results are written to addresses.
#pragma once

#include <tuple>
#include <vector>

#include "../compiled/batches.hpp"
#include "job.hpp"

namespace lookalike {

// A window, a border rule and the constants: what stays the same from call to call.
struct Window {
  Job job{};
  Window(const std::vector<double>& taps, int border, double c1, double c2);
};

// Writes per plane the means of SSIM and contrast·structure to means[planes][2]; where the address is not 0, also the
// mean of |x − y| to l1[planes], and the maps. With a mask they are weighted means: of pixels by their weights, of
// windows by the weight that they cover; 1, 1 and 0 where all weights are 0.
void forward(const Window&, const Images&, int threads, Address means, Address l1, Address ssim_map, Address cs_map);

// Writes the means likewise, and tells the least and the greatest value of both images while it reads them. NaN is
// passed over, and zeros beyond the border may be among them.
std::tuple<float, float> look(const Window&, const Images&, int threads, Address means);

// Which scalar is differentiated: Σ over planes of scales · (mean of SSIM, mean of contrast·structure), plus
// l1_scale · (mean |x − y|) · the number of pixels. The scales are the same for all planes, or (not 0) at an address of [planes][2], or (not 0)
// maps that belong to the maps instead of the means.
struct Upstream {
  float ssim = 0, cs = 0, l1 = 0;
  Address scales = 0, ssim_map = 0, cs_map = 0;
};

// Writes the gradient to gx and, where the address is not 0, gy; and in the same pass what `forward` writes.
void gradient(const Window&, const Images&, int threads, const Upstream&, Address means, Address l1, Address gx,
              Address gy);

// gradient[plane] *= upstream[plane][column] / made_with. False, and nothing done, where another column of `upstream`
// is not zero: then the gradient is not a multiple of the one that was made.
bool rescale(Address gradient, int planes, ptrdiff_t pixels, Address upstream, int columns, int column,
             float made_with, int threads);

enum class HalvingRule : int { Symmetric, Zero, Replicate, Floor };

// The means of a pyramid: contrast·structure of each scale but the last, SSIM of that one, to means[planes][levels].
// Where gradients are wanted, gx (and gy) hold the address of one buffer a scale, each as large as that scale's images:
// it receives the gradient of that scale's own mean. `halving` is a HalvingRule.
void pyramid(const Window&, const Window& last, const Images&, int halving, int levels, int threads, Address means,
             const std::vector<Address>& gx, const std::vector<Address>& gy);

// Adds those up, times upstream[planes][levels], into the finest one.
void collapse(const Shape&, int halving, const std::vector<Address>& gradients, Address upstream, int threads);

// The shape of the next coarser scale.
std::tuple<int, int> halved_shape(int height, int width, int halving);

}  // namespace lookalike

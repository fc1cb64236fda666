#include "batches.hpp"

#include "instruction_sets.hpp"
#include "threads.hpp"

namespace lookalike {

ptrdiff_t offset_of(int plane, int channels, const Strides& strides) {
  return plane / channels * std::get<0>(strides) + plane % channels * std::get<1>(strides);
}

Images plane_of(const Images& images, int plane) {
  const auto [n, c, height, width] = images.shape;
  const size_t pixel = images.bytes ? 1 : sizeof(float);
  Images one = images;
  one.shape = {1, 1, height, width};
  one.x += offset_of(plane, c, images.x_strides) * pixel;
  one.y += offset_of(plane, c, images.y_strides) * pixel;
  if (one.mask) one.mask += offset_of(plane, c, images.mask_strides) * sizeof(float);
  return one;
}

Images halved(const Images& images, const Halving& h, std::vector<float>& memory, int threads) {
  const auto [n, c, height, width] = images.shape;
  const int planes = n * c;
  const ptrdiff_t size = ptrdiff_t(h.coarse_height) * h.coarse_width;
  if (memory.size() < 2 * size_t(planes) * size) memory.resize(2 * size_t(planes) * size);
  run_tasks(2 * planes, threads_worth(2. * planes * height * width, threads), [&](int task) {
    const Images one = plane_of(images, task % planes);
    const bool of_x = task < planes;
    kernels_in_use().halve(h, at<void>(of_x ? one.x : one.y), std::get<2>(of_x ? one.x_strides : one.y_strides), images.bytes,
                   memory.data() + task * size);
  });
  const Strides strides{size * c, size, h.coarse_width};
  return {{n, c, h.coarse_height, h.coarse_width}, Address(memory.data()), strides,
          Address(memory.data() + planes * size), strides, false};
}

}  // namespace lookalike

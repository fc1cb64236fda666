#include "calls.hpp"

#include <algorithm>
#include <stdexcept>

#include "../compiled/instruction_sets.hpp"
#include "../compiled/threads.hpp"
#include "job.hpp"

namespace lookalike {
namespace {

constexpr int RowsPerBlock = 64;

void add_planes(const SmoothedBatch& batch, const Smoothing& window, std::vector<Smoothing>& planes) {
  const auto& [shape, from, strides, to] = batch;
  const auto [n, c, height, width] = shape;
  for (int plane = 0; plane < n * c; plane++) {
    Smoothing job = window;
    job.from = at<float>(from) + offset_of(plane, c, strides);
    job.from_row = std::get<2>(strides);
    job.to = at<float>(to) + plane * ptrdiff_t(height) * width;
    job.height = height;
    job.width = width;
    planes.push_back(job);
  }
}

}  // namespace

void smooth(const std::vector<SmoothedBatch>& batches, const std::vector<double>& taps, int threads) {
  if (taps.size() % 2 == 0 || taps.size() / 2 > MaxReach)
    throw std::invalid_argument("the window's length must be odd and at most 33");
  Smoothing window{};
  window.reach = int(taps.size() / 2);
  for (int k = 0; k <= window.reach; k++) window.weights[k] = float(taps[window.reach + k]);
  std::vector<Smoothing> planes;
  for (const SmoothedBatch& batch : batches) add_planes(batch, window, planes);
  if (planes.empty()) return;
  const int height = planes[0].height, blocks = (height + RowsPerBlock - 1) / RowsPerBlock;
  const double pixels = double(planes.size()) * height * planes[0].width;
  run_tasks(int(planes.size()) * blocks, threads_worth(pixels, threads), [&](int task) {
    float* scratch = static_cast<float*>(scratch_memory(smooth_scratch * sizeof(float)));
    const int first = task % blocks * RowsPerBlock;
    kernels_in_use().smooth_rows(planes[task / blocks], first, std::min(first + RowsPerBlock, height), scratch);
  });
}

}  // namespace lookalike

#include "calls.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "../compiled/instruction_sets.hpp"
#include "../compiled/threads.hpp"
#include "job.hpp"

namespace lookalike {
namespace {

constexpr int RowsPerBlock = 32;

struct Comparison {
  const std::vector<double>& weights;
  float masking, constant;
  int correction;
};

// One step down, with zeros beyond the last row and column of odd sides.
Halving halving_of(int height, int width) { return {height, width, (height + 1) / 2, (width + 1) / 2, 0, 0, true}; }

GradientPair gradient_pair(const Images& plane, const Comparison& how) {
  return {at<float>(plane.x), at<float>(plane.y),
          std::get<2>(plane.x_strides), std::get<2>(plane.y_strides),
          std::get<2>(plane.shape), std::get<3>(plane.shape), how.masking, how.constant};
}

// Σd and Σd² of the block of rows from `first` on.
void sum_block(const GradientPair& pair, int first, double* sums) {
  double* scratch = static_cast<double*>(scratch_memory(scratch_doubles(pair.width) * sizeof(double)));
  kernels_in_use().sum_unlikeness(pair, first, std::min(first + RowsPerBlock, pair.height), scratch, sums);
}

// The same of the planes halved: of them, only the rows that the block looks at are made.
void sum_halved_block(const GradientPair& fine, int first, double* sums) {
  const Halving whole = halving_of(fine.height, fine.width);
  const int last = std::min(first + RowsPerBlock, whole.coarse_height);
  const int top = std::max(first - 1, 0), bottom = std::min(last + 1, whole.coarse_height), width = whole.coarse_width;
  const Halving rows{std::min(2 * bottom, fine.height) - 2 * top, fine.width, bottom - top, width, 0, 0, true};
  const size_t size = size_t(RowsPerBlock + 2) * width;
  double* scratch = static_cast<double*>(scratch_memory(scratch_doubles(width) * sizeof(double) + 2 * size * sizeof(float)));
  float *x = reinterpret_cast<float*>(scratch + scratch_doubles(width)), *y = x + size;
  const Kernels& kernels = kernels_in_use();
  kernels.halve(rows, fine.x + 2 * top * fine.x_row, fine.x_row, false, x);
  kernels.halve(rows, fine.y + 2 * top * fine.y_row, fine.y_row, false, y);
  const GradientPair pair{x, y, width, width, bottom - top, width, fine.masking, fine.constant};
  kernels.sum_unlikeness(pair, first - top, last - top, scratch, sums);
}

// Adds one scale's weight times its variance to each plane's total. Sums belong to blocks of rows that do not depend
// on who computes them; Σ(d − mean)² is Σd² − (Σd)²/N, of doubles that began as exact float32 values.
void add_scale(const Images& images, bool halve, double weight, const Comparison& how, int threads,
               std::vector<double>& totals) {
  int height = std::get<2>(images.shape), width = std::get<3>(images.shape);
  const double work = double(totals.size()) * height * width;
  if (halve) height = (height + 1) / 2, width = (width + 1) / 2;
  const int planes = int(totals.size()), blocks = (height + RowsPerBlock - 1) / RowsPerBlock;
  std::vector<double> sums(2 * size_t(planes) * blocks);
  run_tasks(planes * blocks, threads_worth(work, threads), [&](int task) {
    const GradientPair pair = gradient_pair(plane_of(images, task / blocks), how);
    (halve ? sum_halved_block : sum_block)(pair, task % blocks * RowsPerBlock, &sums[2 * size_t(task)]);
  });
  const double pixels = double(height) * width;
  for (int plane = 0; plane < planes; plane++) {
    double sum = 0, squares = 0;
    for (int block = plane * blocks; block < (plane + 1) * blocks; block++) {
      sum += sums[2 * size_t(block)];
      squares += sums[2 * size_t(block) + 1];
    }
    const double spread = squares - sum * sum / pixels;
    totals[plane] += weight * (spread < 0 ? 0 : spread) / (pixels - how.correction);
  }
}

void climb(Images images, const Comparison& how, int threads, float* deviations) {
  thread_local std::vector<float> memory, coarser_memory;
  std::vector<double> totals(size_t(std::get<0>(images.shape)) * std::get<1>(images.shape));
  const size_t scales = how.weights.size();
  for (size_t scale = 0; scale < scales; scale++) {
    const bool halve = scale > 0 && scale == scales - 1;  // nobody needs the images of the last scale again
    if (scale > 0 && !halve) {
      const Halving step = halving_of(std::get<2>(images.shape), std::get<3>(images.shape));
      images = halved(images, step, coarser_memory, threads);
      memory.swap(coarser_memory);
    }
    if (how.weights[scale] != 0) add_scale(images, halve, how.weights[scale], how, threads, totals);
  }
  for (const double total : totals) *deviations++ = total <= 0 ? 0.f : float(std::sqrt(total));
}

}  // namespace

void gradient_deviation(const Images& images, const std::vector<double>& weights, float masking, float constant,
                        int correction, int threads, Address deviations) {
  if (images.bytes) throw std::invalid_argument("gradients are compared of float32 pixels");
  const auto [n, c, height, width] = images.shape;
  const int planes = n * c;
  const Comparison how{weights, masking, constant, correction};
  float* to = at<float>(deviations);
  if (planes < 2 * threads) return climb(images, how, threads, to);
  // Many planes: each thread takes one up all scales at once, while it is in the cache.
  run_tasks(planes, threads_worth(double(planes) * height * width, threads),
            [&](int plane) { climb(plane_of(images, plane), how, 1, to + plane); });
}

}  // namespace lookalike

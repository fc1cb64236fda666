#include "calls.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <stdexcept>

#include "../compiled/instruction_sets.hpp"
#include "../compiled/threads.hpp"

namespace lookalike {
namespace {

Job make_job(const Window& window, const Images& images) {
  Job job = window.job;
  int batch;
  std::tie(batch, job.channels, job.height, job.width) = images.shape;
  const auto planes = [](Address data, const Strides& strides) {
    return Planes{at<void>(data), std::get<0>(strides), std::get<1>(strides), std::get<2>(strides)};
  };
  job.planes = batch * job.channels;
  job.x = planes(images.x, images.x_strides);
  job.y = planes(images.y, images.y_strides);
  job.mask = planes(images.mask, images.mask_strides);
  job.bytes = images.bytes;
  const int lost = job.border == Border::Valid ? job.taps - 1 : 0;
  job.map_height = job.height - lost;
  job.map_width = job.width - lost;
  if (job.map_height < 1 || job.map_width < 1) throw std::invalid_argument("the images are smaller than the window");
  job.blocks = (job.map_height + kernels_in_use().lanes - 1) / kernels_in_use().lanes;
  job.tiles = 1;
  job.tile_width = job.width;
  return job;
}

double pixels_of(const Job& job) { return double(job.planes) * job.height * job.width; }

// What the sums of each plane are divided by: the weights of all windows, and those of all pixels.
struct Counts {
  std::vector<double> windows, pixels;
};

// Where the pixel at i of an extended axis comes from; −1 for a zero.
int source_of(int i, int size, Border border) {
  if (i >= 0 && i < size) return i;
  if (border == Border::Zero) return -1;
  const int edge = border == Border::Reflect ? 0 : 1;
  return i < 0 ? -edge - i : 2 * size - 2 + edge - i;
}

// How much each pixel of an axis counts in all windows together.
std::vector<double> reach_of(const Job& job, int size, int map_size) {
  std::vector<double> counts(size);
  for (int centre = 0; centre < map_size; centre++) {
    for (int k = 0; k < job.taps; k++) {
      const int source = source_of(centre - job.reach + k, size, job.border);
      if (source >= 0) counts[source] += job.weights[k];
    }
  }
  return counts;
}

// Σ w and Σ r w over a row.
std::pair<double, double> weigh_row(const float* weights, const double* counts, int width) {
  constexpr int Apart = 8;  // chains of additions that do not wait for each other
  double all[Apart] = {}, counted[Apart] = {};
  for (int i = 0; i < width; i += Apart) {
    for (int k = 0; k < std::min(Apart, width - i); k++) {
      all[k] += weights[i + k];
      counted[k] += counts[i + k] * weights[i + k];
    }
  }
  return {std::accumulate(all, all + Apart, 0.), std::accumulate(counted, counted + Apart, 0.)};
}

Counts counts_of(const Job& job, int threads) {
  const double positions = double(job.map_height) * job.map_width, pixels = double(job.height) * job.width;
  Counts counts{std::vector<double>(job.planes, positions), std::vector<double>(job.planes, pixels)};
  if (!job.mask.data) return counts;
  const std::vector<double> down = reach_of(job, job.height, job.map_height);
  const std::vector<double> across = reach_of(job, job.width, job.map_width);
  const double inside = std::accumulate(down.begin(), down.end(), 0.) * std::accumulate(across.begin(), across.end(), 0.);
  // What zeros beyond the border count; under other rules there are none.
  const double sum = std::accumulate(job.weights, job.weights + job.taps, 0.);
  const double beyond = job.border == Border::Zero ? positions * sum * sum - inside : 0;
  run_tasks(job.planes, threads_worth(double(job.planes) * pixels, threads), [&](int plane) {
    const float* weights = static_cast<const float*>(job.mask.data) + plane / job.channels * job.mask.batch +
                           plane % job.channels * job.mask.channel;
    double all = 0, counted = 0;
    for (int row = 0; row < job.height; row++) {
      const auto [of_row, counted_of_row] = weigh_row(weights + row * job.mask.row, across.data(), job.width);
      all += of_row;
      counted += down[row] * counted_of_row;
    }
    counts.pixels[plane] = all;
    counts.windows[plane] = all > 0 ? counted + beyond : 0;
  });
  return counts;
}

struct Means {
  double ssim, cs, l1;
};

// Runs kernels whose sums then are added up in one order, whoever computed the parts.
class Summed {
 public:
  Summed(Job& job, const Counts& counts)
      : job_(job), counts_(counts), sums_(size_t(job.planes) * parts() * SumsPerBlock) {
    job.sums = sums_.data();
  }

  Means of_plane(int plane) const {
    double sums[SumsPerBlock] = {};
    const double* from = sums_.data() + size_t(plane) * parts() * SumsPerBlock;
    for (int part = 0; part < parts(); part++)
      for (int k = 0; k < SumsPerBlock; k++) sums[k] += *from++;
    const double windows = counts_.windows[plane], pixels = counts_.pixels[plane];
    if (!(windows > 0)) return {1, 1, 0};  // nothing in it differs
    return {sums[0] / windows, sums[1] / windows, sums[2] / pixels};
  }

 private:
  int parts() const { return job_.blocks * job_.tiles; }
  const Job& job_;
  const Counts& counts_;
  std::vector<double> sums_;
};

void run_forward(const Job& job, int threads) {
  threads = threads_worth(pixels_of(job), threads);
  const size_t bytes = kernels_in_use().ssim_scratch_bytes(job);
  int blocks_per_task = threads == 1 ? job.blocks : int(size_t(job.blocks) * job.planes / (8 * size_t(threads)));
  blocks_per_task = std::clamp(blocks_per_task, 1, job.blocks);
  const int tasks_per_plane = (job.blocks + blocks_per_task - 1) / blocks_per_task;
  run_tasks(job.planes * tasks_per_plane, threads, [&](int task) {
    const int first = task % tasks_per_plane * blocks_per_task;
    kernels_in_use().ssim_forward(job, task / tasks_per_plane, first, std::min(first + blocks_per_task, job.blocks),
                     scratch_memory(bytes));
  });
}

// Wide images are cut into tiles so that the ring stays in the second cache level; bands of rows are cut only to
// occupy all threads, for each band computes some map rows of its neighbour again.
void cut_into_tiles(Job& job) {
  constexpr int widest = 1024;
  const int tiles = (job.width + widest - 1) / widest;
  job.tile_width = tiles == 1 ? job.width : ((job.width + tiles - 1) / tiles + 63) / 64 * 64;
  job.tiles = (job.width + job.tile_width - 1) / job.tile_width;
}

void run_gradient(const Job& job, int threads) {
  threads = threads_worth(pixels_of(job), threads);
  const size_t bytes = kernels_in_use().ssim_scratch_bytes(job);
  const int blocks = (job.height + kernels_in_use().lanes - 1) / kernels_in_use().lanes, columns = job.planes * job.tiles;
  const int wanted = threads == 1 || columns == 0 ? 1 : (3 * threads + columns - 1) / columns;
  const int blocks_per_task = std::max((blocks + wanted - 1) / wanted, std::min(blocks, 4));
  const int bands = (blocks + blocks_per_task - 1) / blocks_per_task, rows = blocks_per_task * kernels_in_use().lanes;
  run_tasks(columns * bands, threads, [&](int task) {
    const int band = task % bands, column = task / bands;
    kernels_in_use().ssim_gradient(job, column / job.tiles, column % job.tiles, band * rows, std::min((band + 1) * rows, job.height),
                      scratch_memory(bytes));
  });
}

Halving halving_of(int height, int width, HalvingRule rule) {
  const bool odd = height % 2 || width % 2;
  const auto offset = [&](int side) {
    return (rule == HalvingRule::Zero && side % 2) || (rule == HalvingRule::Replicate && odd) ? -1 : 0;
  };
  const auto coarse = [&](int side) { return rule == HalvingRule::Floor ? side / 2 : (side + 1) / 2; };
  return {height, width, coarse(height), coarse(width), offset(height), offset(width), rule == HalvingRule::Zero};
}

void climb(const Window& window, const Window& last, const Images& finest, HalvingRule rule, int levels, int threads,
           float* means, const std::vector<Address>& gx, const std::vector<Address>& gy) {
  thread_local std::vector<float> memory, coarser_memory;
  Images images = finest;
  const int planes = std::get<0>(finest.shape) * std::get<1>(finest.shape);
  std::vector<float> of_level(2 * size_t(planes));
  for (int level = 0; level < levels; level++) {
    const bool at_last = level == levels - 1;
    if (level) {
      const Halving h = halving_of(std::get<2>(images.shape), std::get<3>(images.shape), rule);
      images = halved(images, h, coarser_memory, threads);
      memory.swap(coarser_memory);
    }
    const Window& of_this_level = at_last ? last : window;
    if (gx.empty()) {
      forward(of_this_level, images, threads, Address(of_level.data()), 0, 0, 0);
    } else {
      Upstream upstream;
      (at_last ? upstream.ssim : upstream.cs) = 1;
      gradient(of_this_level, images, threads, upstream, Address(of_level.data()), 0, gx[level],
               gy.empty() ? 0 : gy[level]);
    }
    for (int plane = 0; plane < planes; plane++)
      means[plane * levels + level] = of_level[2 * plane + (at_last ? 0 : 1)];
  }
}

}  // namespace

Window::Window(const std::vector<double>& taps, int border, double c1, double c2) {
  if (taps.size() % 2 == 0 || taps.size() > MaxTaps)
    throw std::invalid_argument("the window's length must be odd and at most 33");
  job.taps = int(taps.size());
  job.uniform = std::all_of(taps.begin(), taps.end(), [&](double tap) { return tap == taps[0]; });
  // Multiples of what the middle one can tell apart, so that the sum is exactly 1: the variances of nearly flat images
  // would feel the least difference. The taps of a uniform window stay alike, and the kernel knows what they miss.
  const int middle = job.taps / 2;
  const double unit = std::ldexp(1.0, std::ilogb(taps[middle]) - 23);
  double others = 0;
  for (int k = 0; k < job.taps; k++) {
    job.weights[k] = float(job.uniform ? taps[k] : unit * std::round(taps[k] / unit));
    if (k != middle) others += job.weights[k];
  }
  if (!job.uniform) job.weights[middle] = float(1 - others);
  job.border = Border(border);
  job.reach = job.border == Border::Valid ? 0 : job.taps / 2;
  job.c1 = float(c1);
  job.c2 = float(c2);
}

void forward(const Window& window, const Images& images, int threads, Address means, Address l1, Address ssim_map,
             Address cs_map) {
  Job job = make_job(window, images);
  job.want_l1 = l1 != 0;
  job.ssim_map = at<float>(ssim_map);
  job.cs_map = at<float>(cs_map);
  const Counts counts = counts_of(job, threads);
  const Summed summed(job, counts);
  run_forward(job, threads);
  for (int plane = 0; plane < job.planes; plane++) {
    const Means mean = summed.of_plane(plane);
    at<float>(means)[2 * plane] = float(mean.ssim);
    at<float>(means)[2 * plane + 1] = float(mean.cs);
    if (l1) at<float>(l1)[plane] = float(mean.l1);
  }
}

std::tuple<float, float> look(const Window& window, const Images& images, int threads, Address means) {
  Job job = make_job(window, images);
  const Counts counts = counts_of(job, threads);
  const Summed summed(job, counts);
  std::vector<float> extremes;
  for (int block = 0; block < job.planes * job.blocks; block++) extremes.insert(extremes.end(), {INFINITY, -INFINITY});
  job.extremes = extremes.data();
  run_forward(job, threads);
  float least = INFINITY, most = -INFINITY;
  for (size_t i = 0; i < extremes.size(); i += 2) {
    least = std::min(least, extremes[i]);
    most = std::max(most, extremes[i + 1]);
  }
  for (int plane = 0; plane < job.planes; plane++) {
    const Means mean = summed.of_plane(plane);
    at<float>(means)[2 * plane] = float(mean.ssim);
    at<float>(means)[2 * plane + 1] = float(mean.cs);
  }
  return {least, most};
}

void gradient(const Window& window, const Images& images, int threads, const Upstream& upstream, Address means,
              Address l1, Address gx, Address gy) {
  Job job = make_job(window, images);
  cut_into_tiles(job);
  const Counts counts = counts_of(job, threads);
  std::vector<float> scales(2 * size_t(job.planes)), l1_scales(job.planes);
  const double pixels = double(job.height) * job.width;
  for (int plane = 0; plane < job.planes; plane++) {
    const double each = counts.windows[plane] > 0 ? 1 / counts.windows[plane] : 0;
    const float* of_means = upstream.scales ? at<float>(upstream.scales) + 2 * plane : nullptr;
    scales[2 * plane] = float(each * (of_means ? of_means[0] : upstream.ssim));
    scales[2 * plane + 1] = float(each * (of_means ? of_means[1] : upstream.cs));
    l1_scales[plane] = counts.windows[plane] > 0 ? float(upstream.l1 * pixels / counts.pixels[plane]) : 0;
  }
  job.scales = scales.data();
  job.l1_scales = l1_scales.data();
  job.ssim_upstream = at<float>(upstream.ssim_map);
  job.cs_upstream = at<float>(upstream.cs_map);
  job.want_l1 = l1 != 0;
  job.gx = at<float>(gx);
  job.gy = at<float>(gy);
  const Summed summed(job, counts);
  run_gradient(job, threads);
  for (int plane = 0; plane < job.planes; plane++) {
    const Means mean = summed.of_plane(plane);
    if (means) at<float>(means)[2 * plane] = float(mean.ssim);
    if (means) at<float>(means)[2 * plane + 1] = float(mean.cs);
    if (l1) at<float>(l1)[plane] = float(mean.l1);
  }
}

bool rescale(Address gradient, int planes, ptrdiff_t pixels, Address upstream, int columns, int column,
             float made_with, int threads) {
  const float* wanted = at<float>(upstream);
  bool nothing_to_do = true;
  for (int plane = 0; plane < planes; plane++) {
    for (int k = 0; k < columns; k++)
      if (k != column && !(wanted[plane * columns + k] == 0)) return false;
    nothing_to_do = nothing_to_do && wanted[plane * columns + column] == made_with;
  }
  if (nothing_to_do) return true;
  run_tasks(planes, threads_worth(double(planes) * pixels, threads), [&](int plane) {
    float* from = at<float>(gradient) + plane * pixels;
    const float scale = wanted[plane * columns + column] / made_with;
    for (ptrdiff_t i = 0; i < pixels; i++) from[i] *= scale;
  });
  return true;
}

std::tuple<int, int> halved_shape(int height, int width, int halving) {
  const Halving h = halving_of(height, width, HalvingRule(halving));
  return {h.coarse_height, h.coarse_width};
}

void pyramid(const Window& window, const Window& last, const Images& images, int halving, int levels, int threads,
             Address means, const std::vector<Address>& gx, const std::vector<Address>& gy) {
  const auto [n, c, height, width] = images.shape;
  const int planes = n * c;
  const HalvingRule rule = HalvingRule(halving);
  if (planes < 2 * threads) return climb(window, last, images, rule, levels, threads, at<float>(means), gx, gy);
  // Many planes: each thread takes one up all scales at once, while it is in the cache.
  std::vector<size_t> sizes;  // of a plane, in bytes
  for (int level = 0, h = height, w = width; level < levels; level++) {
    sizes.push_back(size_t(h) * w * sizeof(float));
    std::tie(h, w) = halved_shape(h, w, halving);
  }
  run_tasks(planes, threads_worth(double(planes) * height * width, threads), [&](int plane) {
    std::vector<Address> plane_gx = gx, plane_gy = gy;
    for (size_t level = 0; level < gx.size(); level++) plane_gx[level] += plane * sizes[level];
    for (size_t level = 0; level < gy.size(); level++) plane_gy[level] += plane * sizes[level];
    float* plane_means = at<float>(means) + plane * levels;
    climb(window, last, plane_of(images, plane), rule, levels, 1, plane_means, plane_gx, plane_gy);
  });
}

void collapse(const Shape& shape, int halving, const std::vector<Address>& gradients, Address upstream, int threads) {
  const auto [n, c, height, width] = shape;
  const int planes = n * c, levels = int(gradients.size());
  std::vector<Halving> steps;
  for (int level = 0, h = height, w = width; level < levels; level++) {
    steps.push_back(halving_of(h, w, HalvingRule(halving)));
    h = steps.back().coarse_height, w = steps.back().coarse_width;
  }
  run_tasks(planes, threads_worth(double(planes) * height * width, threads), [&](int plane) {
    const float* scales = at<float>(upstream) + plane * levels;
    for (int level = levels - 1; level >= 0; level--) {
      const ptrdiff_t pixels = ptrdiff_t(steps[level].height) * steps[level].width;
      float* fine = at<float>(gradients[level]) + plane * pixels;
      if (level == levels - 1) {
        for (ptrdiff_t i = 0; i < pixels; i++) fine[i] *= scales[level];
      } else {
        const ptrdiff_t coarse_pixels = ptrdiff_t(steps[level + 1].height) * steps[level + 1].width;
        const float* coarse = at<float>(gradients[level + 1]) + plane * coarse_pixels;
        kernels_in_use().add_unhalved(steps[level], coarse, scales[level], fine);
      }
    }
  });
}

}  // namespace lookalike

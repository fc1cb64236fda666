// Batches of planes as Python hands them over: addresses, sizes and strides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <vector>

#include "halving.hpp"

namespace lookalike {

using Address = uintptr_t;
using Shape = std::tuple<int, int, int, int>;                 // n, c, height, width
using Strides = std::tuple<ptrdiff_t, ptrdiff_t, ptrdiff_t>;  // of n, c and rows, in elements; columns have 1

template <class T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

// From the first plane of a batch to another, in elements.
ptrdiff_t offset_of(int plane, int channels, const Strides&);

// Two batches of images of one shape.
struct Images {
  Shape shape;
  Address x;
  Strides x_strides;
  Address y;
  Strides y_strides;
  bool bytes;
  Address mask = 0;  // float32 weights of the pixels, where not all count alike
  Strides mask_strides = {};
};

// One plane of a batch, as a batch.
Images plane_of(const Images&, int plane);

// Both batches halved into `memory`, which grows as needed.
Images halved(const Images&, const Halving&, std::vector<float>& memory, int threads);

}  // namespace lookalike

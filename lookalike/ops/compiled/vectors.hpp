// Vectors of floats as wide as the instruction set of this translation unit, in GCC/Clang vector-extension style.
// Everything lives in a namespace of its own per instruction set: the same templates compiled with different flags
// must never be merged by the linker, or a machine without AVX-512 could be handed AVX-512 code.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX2__) || defined(__AVX512F__) || defined(__SSE4_1__)
#include <immintrin.h>
#endif

#define LOOKALIKE_INLINE inline __attribute__((always_inline))

namespace lookalike {
namespace LOOKALIKE_ISA {

#if defined(__AVX512F__)
constexpr int Lanes = 16;
#elif defined(__AVX2__)
constexpr int Lanes = 8;
#else
constexpr int Lanes = 4;
#endif

typedef float V __attribute__((vector_size(4 * Lanes)));
typedef float UnalignedV __attribute__((vector_size(4 * Lanes), aligned(4), may_alias));
typedef int32_t VI __attribute__((vector_size(4 * Lanes)));
typedef float HalfV __attribute__((vector_size(2 * Lanes)));
typedef double VD __attribute__((vector_size(4 * Lanes)));  // half as many doubles

// std::min and std::max are templates that the linker would merge.
LOOKALIKE_INLINE int least(int a, int b) { return a < b ? a : b; }
LOOKALIKE_INLINE int most(int a, int b) { return a > b ? a : b; }

LOOKALIKE_INLINE V splat(float a) { return a - V{}; }
LOOKALIKE_INLINE V load(const float* p) { return *reinterpret_cast<const UnalignedV*>(p); }
LOOKALIKE_INLINE void store(float* p, V v) { *reinterpret_cast<UnalignedV*>(p) = v; }

// The first `count` lanes only, where a row ends.
LOOKALIKE_INLINE V load_some(const float* p, int count) {
  if (count >= Lanes) return load(p);
  V v = {};
  std::memcpy(&v, p, count * sizeof(float));
  return v;
}
LOOKALIKE_INLINE void store_some(float* p, V v, int count) {
  if (count >= Lanes) return store(p, v);
  std::memcpy(p, &v, count * sizeof(float));
}

// GCC does not find vpmovzxbd behind __builtin_convertvector, and without it uint8 input costs 1.5 times float32.
LOOKALIKE_INLINE V load(const uint8_t* p) {
#if defined(__AVX512F__)
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return (V)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
#elif defined(__AVX2__)
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return (V)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
#else
  VI wide;
  for (int i = 0; i < Lanes; i++) wide[i] = p[i];
  return __builtin_convertvector(wide, V);
#endif
}

// Both halves of a vector, as doubles.
LOOKALIKE_INLINE VD low_doubles(V v) {
  HalfV half;
  std::memcpy(&half, &v, sizeof half);
  return __builtin_convertvector(half, VD);
}
LOOKALIKE_INLINE VD high_doubles(V v) {
  HalfV half;
  std::memcpy(&half, reinterpret_cast<const char*>(&v) + sizeof half, sizeof half);
  return __builtin_convertvector(half, VD);
}

// shuffle<Pick>(a, b): lane i of the result is lane Pick::lane(i) of a (below Lanes) or of b (from Lanes on).
template <class Pick, std::size_t... I>
LOOKALIKE_INLINE V shuffle(V a, V b, std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b, Pick::lane(int(I))...);
}
template <class Pick>
LOOKALIKE_INLINE V shuffle(V a, V b) {
  return shuffle<Pick>(a, b, std::make_index_sequence<Lanes>{});
}

// In each block of four lanes: the low or high two lanes of a and b, one by one (unpcklps) ...
template <int High>
struct Singles {
  static constexpr int lane(int i) { return (i / 4) * 4 + 2 * High + (i % 4) / 2 + (i % 2) * Lanes; }
};
// ... or two by two (movlhps).
template <int High>
struct Pairs {
  static constexpr int lane(int i) { return (i / 4) * 4 + 2 * High + i % 2 + ((i % 4) / 2) * Lanes; }
};
// Blocks of four lanes: the low or high half of a's blocks, then of b's; and every second block of a, then of b.
template <int High>
struct Halves {
  static constexpr int lane(int i) { return i < Lanes / 2 ? i + High * Lanes / 2 : i + Lanes / 2 + High * Lanes / 2; }
};
template <int Odd>
struct EverySecondBlock {
  static constexpr int lane(int i) {
    const int block = (i / 4) % (Lanes / 8 ? Lanes / 8 : 1);
    return (2 * block + Odd) * 4 + i % 4 + (i >= Lanes / 2 ? Lanes : 0);
  }
};

// out[c] lane r = rows[r] lane c.
LOOKALIKE_INLINE void transpose(const V* rows, V* out) {
  V blocks[Lanes];  // blocks[4 i + c], block b = column 4 b + c of rows 4 i ... 4 i + 3
  for (int i = 0; i < Lanes; i += 4) {
    const V a = shuffle<Singles<0>>(rows[i], rows[i + 1]), b = shuffle<Singles<1>>(rows[i], rows[i + 1]);
    const V c = shuffle<Singles<0>>(rows[i + 2], rows[i + 3]), d = shuffle<Singles<1>>(rows[i + 2], rows[i + 3]);
    blocks[i] = shuffle<Pairs<0>>(a, c);
    blocks[i + 1] = shuffle<Pairs<1>>(a, c);
    blocks[i + 2] = shuffle<Pairs<0>>(b, d);
    blocks[i + 3] = shuffle<Pairs<1>>(b, d);
  }
  for (int c = 0; c < 4; c++) {
    if constexpr (Lanes == 4) {
      out[c] = blocks[c];
    } else if constexpr (Lanes == 8) {
      out[c] = shuffle<Halves<0>>(blocks[c], blocks[4 + c]);
      out[4 + c] = shuffle<Halves<1>>(blocks[c], blocks[4 + c]);
    } else {
      const V low0 = shuffle<Halves<0>>(blocks[c], blocks[4 + c]), high0 = shuffle<Halves<1>>(blocks[c], blocks[4 + c]);
      const V low1 = shuffle<Halves<0>>(blocks[8 + c], blocks[12 + c]);
      const V high1 = shuffle<Halves<1>>(blocks[8 + c], blocks[12 + c]);
      out[c] = shuffle<EverySecondBlock<0>>(low0, low1);
      out[4 + c] = shuffle<EverySecondBlock<1>>(low0, low1);
      out[8 + c] = shuffle<EverySecondBlock<0>>(high0, high1);
      out[12 + c] = shuffle<EverySecondBlock<1>>(high0, high1);
    }
  }
}

}  // namespace LOOKALIKE_ISA
}  // namespace lookalike

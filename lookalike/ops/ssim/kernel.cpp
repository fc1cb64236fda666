// SSIM of two planes, and its gradient, without one intermediate image. Compiled once per instruction set.
//
// With p = x + y − 2s and m = x − y − t, and with E[·] the window's weighted mean, everything SSIM needs is four blurs:
// E[p], E[m], E[p²], E[m²]. Shifts s and t near the means keep float32 away from cancellation. Means are told about the
// plane's shifts; variances are taken about shifts of the neighbourhood (a chunk of columns of a block of rows), for a
// plane may be half dark and half bright:
//
//   A = (E[p] + 2s)²       B = (E[m] + t)²        luminance  l  = (A − B + 2 c1) / (A + B + 2 c1)
//   V = E[p²] − E[p]²      U = E[m²] − E[m]²      contrast·structure  cs = (V − U + 2 c2) / (V + U + 2 c2)
//
// Written as l = 1 − 2B / (A + B + 2 c1), and cs likewise, identical inputs (B = U = 0) give exactly 1.
//
// FORWARD. The map is taken in blocks of `Lanes` rows, and each block from left to right in chunks of columns:
//
//   vertical pass     a group of 16 columns at a time, lanes = columns: x and y are read, p, m, p², m² kept for the
//                     block's rows (Lanes + taps − 1 of them), blurred down the columns, and transposed, so that from
//                     here on a vector is one column of the block, lanes = rows. The result is appended to a `Strip`.
//   horizontal pass   the strip is blurred along the row, which now is a sum of whole, aligned vectors; what comes out
//                     are the moments of one map column for all rows of the block. A sink takes them.
//
// The strip keeps its last taps − 1 columns from chunk to chunk. All of this stays in the first cache level.
//
// GRADIENT. The sink turns the moments of each map position into the derivatives of the upstream scalar by E[p], E[m],
// E[p²] and E[m²]. The gradient of a pixel is the adjoint blur of those maps (taps are symmetric, so it is a blur too):
//
//   dp = blur(d/dE[p]) + 2 p blur(d/dE[p²])    dm = blur(d/dE[m]) + 2 m blur(d/dE[m²])    gx = dp + dm    gy = dp − dm
//
// which for x alone needs three maps: the sum of the first two, and the factors of p and of m. Each is blurred along
// the row (lanes = rows, a second strip), transposed back, and stored into a RING of as many rows as one block of
// gradient rows reaches over. As soon as a block of map rows is in the ring, the gradient rows that depend on nothing
// below it are blurred down the columns and written. At the borders the maps are extended: by zeros (valid, zero),
// mirrored (symmetric), or mirrored with the edge counted twice and the result at the edge halved (reflect): that is
// what the adjoint of each extension of the image amounts to under symmetric taps.
//
// MASKS. With weights w of the pixels, E[·] is the weighted mean over the valid pixels of a window, E[w ·] / E[w], and a
// position counts by E[w]: a fifth blur. What a pixel of weight 0 holds is never looked at. Beyond the border stand the
// weights of the pixels that are mirrored, or 1 for the zeros of a border of zeros.
//
// A sum belongs to a block of rows whose position does not depend on who computes it, so results are the same bits
// for any number of threads. This file must not use the standard library's templates: see
// compiled/vectors.hpp.
#include "job.hpp"

#include "../compiled/vectors.hpp"

namespace lookalike {
namespace LOOKALIKE_ISA {

constexpr int Group = 16;                 // columns of one vertical pass: a cache line of floats
constexpr int VectorsPerGroup = Group / Lanes;
constexpr int MaxRows = Lanes + MaxTaps - 1;
constexpr int Chunk = 64;                 // columns between two clean-ups of a strip
constexpr int Step = 2;                   // neighbouring outputs of a filter that share their loads
constexpr int StripLength = Chunk + 2 * MaxTaps + 4 * Group;
constexpr int PrefetchColumns = 16;

LOOKALIKE_INLINE int round_down(int a, int step) { return a >= 0 ? a / step * step : -((-a + step - 1) / step * step); }
LOOKALIKE_INLINE int round_up(int a, int step) { return round_down(a + step - 1, step); }

// Where position i of an extended row or column is read; −1 where the extension is zero (or where nobody looks).
LOOKALIKE_INLINE int source_index(int i, int size, Border border) {
  if (i >= 0 && i < size) return i;
  if (border == Border::Reflect) i = i < 0 ? -i : 2 * (size - 1) - i;
  else if (border == Border::Symmetric) i = i < 0 ? -1 - i : 2 * size - 1 - i;
  return i >= 0 && i < size ? i : -1;
}

// ---- filters: N neighbouring outputs of a window; at(k) is the k-th input

template <int CompiledTaps>  // 0: known at run time only
struct SymmetricTaps {
  V weights[(CompiledTaps ? CompiledTaps : MaxTaps) / 2 + 1];
  int run_time_taps;

  static constexpr bool exact = true;  // the taps' sum is 1
  explicit SymmetricTaps(const Job& job) : run_time_taps(job.taps) {
    for (int k = 0; k <= job.taps / 2; k++) weights[k] = splat(job.weights[k]);
  }
  LOOKALIKE_INLINE int taps() const { return CompiledTaps ? CompiledTaps : run_time_taps; }

  template <int N, class At>
  LOOKALIKE_INLINE void apply(const At& at, V* out) const {
    const int last = taps() - 1, middle = taps() / 2;
    for (int n = 0; n < N; n++) out[n] = weights[middle] * at(n + middle);
#pragma GCC unroll 17
    for (int k = middle - 1; k >= 0; k--) {
#pragma GCC unroll 8
      for (int n = 0; n < N; n++) out[n] += weights[k] * (at(n + k) + at(n + last - k));
    }
  }
};

// Sums without weights, most of them shared by neighbours. No input is ever subtracted again, so that what is not
// finite, or not looked at, stays where it is.
template <int CompiledTaps>
struct UniformTaps {
  V weight;
  int run_time_taps;

  static constexpr bool exact = false;
  explicit UniformTaps(const Job& job) : weight(splat(job.weights[0])), run_time_taps(job.taps) {}
  LOOKALIKE_INLINE int taps() const { return CompiledTaps ? CompiledTaps : run_time_taps; }

  template <int N, class At>
  LOOKALIKE_INLINE void apply(const At& at, V* out) const {
    static_assert(N == 2, "two neighbours share all inputs but one");
    if (taps() == 1) return void((out[0] = at(0), out[1] = at(1)));
    V shared = at(1);
    for (int k = 2; k < taps(); k++) shared += at(k);
    out[0] = weight * (at(0) + shared);
    out[1] = weight * (shared + at(taps()));
  }
};

// ---- the images

// The images of one plane, extended by the border's rule.
template <class Pixel>
struct Pair {
  const Pixel *x, *y;
  ptrdiff_t x_row, y_row;
  int height, width, reach;
  Border border;
  const float* mask;   // null where there is none
  ptrdiff_t mask_row;
  const Pixel* zeros;  // a row of zeros
  const float* ones;   // and one of ones

  Pair(const Job& job, int plane, const float* zero_row, const float* one_row)
      : height(job.height), width(job.width), reach(job.reach), border(job.border), mask(nullptr),
        mask_row(job.mask.row), zeros(reinterpret_cast<const Pixel*>(zero_row)), ones(one_row) {
    const int image = plane / job.channels, channel = plane % job.channels;
    x = static_cast<const Pixel*>(job.x.data) + image * job.x.batch + channel * job.x.channel;
    y = static_cast<const Pixel*>(job.y.data) + image * job.y.batch + channel * job.y.channel;
    x_row = job.x.row;
    y_row = job.y.row;
    if (job.mask.data)
      mask = static_cast<const float*>(job.mask.data) + image * job.mask.batch + channel * job.mask.channel;
  }

  // One group of an extended row that does not lie inside the image.
  template <class Value>
  void gather(const Value* row, int first_column, Value beyond, Value* group) const {
    for (int i = 0; i < Group; i++) {
      const int column = source_index(first_column + i, width, border);
      group[i] = column < 0 ? beyond : row[column];
    }
  }
};

// Pointers to extended rows of both images, and of the weights.
template <class Pixel>
struct Rows {
  const Pixel *x[MaxRows], *y[MaxRows];
  const float* mask[MaxRows];

  Rows(const Pair<Pixel>& pair, int first, int count) {
    for (int i = 0; i < count; i++) {
      const int row = source_index(first + i, pair.height, pair.border);
      x[i] = row < 0 ? pair.zeros : pair.x + row * pair.x_row;
      y[i] = row < 0 ? pair.zeros : pair.y + row * pair.y_row;
      if (pair.mask) mask[i] = row < 0 ? pair.ones : pair.mask + row * pair.mask_row;
    }
  }
};

// What is subtracted from x + y and from x − y, near their means over a rectangle of pixels. It comes from a few
// samples, for it need not be exact.
struct Shift {
  float two_s = 0, t = 0;

  template <class Pixel>
  static Shift of(const Job& job, const Pair<Pixel>& pair, int first_row, int last_row, int first, int last) {
    constexpr int samples = 16;
    int taken = 0;
    float sum = 0, difference = 0, smallest = 0, largest = 0;
    for (int i = 0; i < samples; i++) {
      const int row = first_row + int((2 * i + 1) * ptrdiff_t(last_row - first_row) / (2 * samples));
      const int column = first + int((2 * (i * 7 % samples) + 1) * ptrdiff_t(last - first) / (2 * samples));
      if (pair.mask && !(pair.mask[row * pair.mask_row + column] > 0)) continue;
      const float a = float(pair.x[row * pair.x_row + column]), b = float(pair.y[row * pair.y_row + column]);
      sum += a + b;
      difference += a - b;
      smallest = taken && smallest < a - b ? smallest : a - b;
      largest = taken && largest > a - b ? largest : a - b;
      taken++;
    }
    if (!taken) return of_first_valid(pair, first_row, last_row, first, last);
    sum /= float(taken);
    difference /= float(taken);
    const float size = difference < 0 ? -difference : difference;
    // t helps where x − y is nearly the same all over; elsewhere t = 0 keeps identical regions exact.
    const bool offset = largest - smallest < 0.25f * size && size < 1e30f;
    const bool finite = sum - sum == 0;
    return {finite ? (job.bytes ? float(int(sum)) : sum) : 0.f,
            offset ? (job.bytes ? float(int(difference)) : difference) : 0.f};
  }

  // Where hardly a pixel is valid: that of the first one, if there is one.
  template <class Pixel>
  static Shift of_first_valid(const Pair<Pixel>& pair, int first_row, int last_row, int first, int last) {
    for (int row = first_row; row < last_row; row++) {
      for (int column = first; column < last; column++) {
        if (!(pair.mask[row * pair.mask_row + column] > 0)) continue;
        const float a = float(pair.x[row * pair.x_row + column]), b = float(pair.y[row * pair.y_row + column]);
        if (a + b - (a + b) != 0) return {};
        return {a + b, a - b};
      }
    }
    return {};
  }
};

// The numbers of the formula for one plane.
struct Formula {
  Shift shift;
  V two_s, t, two_c1, two_c2;
  V excess;  // of the sum of a window's weights over 1, where rounding leaves one

  template <class Pixel>
  Formula(const Job& job, const Pair<Pixel>& pair)
      : shift(Shift::of(job, pair, 0, pair.height, 0, pair.width)), two_s(splat(shift.two_s)), t(splat(shift.t)),
        two_c1(splat(2 * job.c1)), two_c2(splat(2 * job.c2)) {
    const double sum = double(job.taps) * job.weights[0];
    excess = splat(float(sum * sum - 1));  // of uniform windows alone
  }
};

struct Moments {
  V p, m;            // E[p] and E[m], about the plane's shifts
  V var_p, var_m;    // E[p²] − E[p]² and E[m²] − E[m]²
  V share;           // E[w], with masks alone
};

enum Quantity { OfP, OfM, OfPP, OfMM, OfWeight };

// ---- working memory

// Columns of a block of rows (lanes = rows), a sliding piece of `Channels` quantities.
template <int Channels>
struct Strip {
  V columns[Channels][StripLength];
  int origin;  // the column number of columns[·][0]
  int count;

  void start(int first_column) { origin = first_column, count = 0; }
  int end() const { return origin + count; }
  void drop_before(int column) {
    const int dropped = column - origin;
    if (dropped <= 0) return;
    for (int q = 0; q < Channels; q++)
      for (int i = dropped; i < count; i++) columns[q][i - dropped] = columns[q][i];
    origin = column;
    count -= dropped;
  }
};

struct Workspace {
  V prepared[5][MaxRows * VectorsPerGroup];  // p, m, p², m² and weights of a group of columns, row by row
  Strip<5> moments;
  Strip<4> derivatives;
  V least, most;  // of the pixels read, where somebody asks
  int image_width;

  // Behind the structure, in the same piece of memory: a row of zeros, one of ones, and the gradient's ring of rows.
  static size_t row_for(int width) { return round_up(width + 2 * Group, Group); }
  float* zeros() { return reinterpret_cast<float*>(this + 1); }
  float* ones() { return zeros() + row_for(image_width); }
  float* ring() { return ones() + row_for(image_width); }

  static Workspace& in(void* scratch, const Job& job) {
    Workspace& work = *static_cast<Workspace*>(scratch);
    work.image_width = job.width;
    std::memset(work.zeros(), 0, sizeof(float) * row_for(job.width));
    if (job.mask.data)
      for (size_t i = 0; i < row_for(job.width); i++) work.ones()[i] = 1;
    return work;
  }
};

// Which pixels count, and whether their extremes are wanted.
enum class Mode { Plain, Masked, Looking };

template <Mode mode, class Pixel>
LOOKALIKE_INLINE void prepare_row(V two_s, V t, const Pixel* x, const Pixel* y, int row, Workspace& work) {
#pragma GCC unroll 4
  for (int g = 0; g < VectorsPerGroup; g++) {
    const V a = load(x + g * Lanes), b = load(y + g * Lanes);
    if constexpr (mode == Mode::Looking) {
      const V lower = a < b ? a : b, upper = a > b ? a : b;
      work.least = lower < work.least ? lower : work.least;
      work.most = upper > work.most ? upper : work.most;
    }
    const V p = a + b - two_s, m = a - b - t;
    const int i = row * VectorsPerGroup + g;
    work.prepared[0][i] = p;
    work.prepared[1][i] = m;
    work.prepared[2][i] = p * p;
    work.prepared[3][i] = m * m;
  }
}

template <class Pixel>
LOOKALIKE_INLINE void prepare_masked_row(V two_s, V t, const Pixel* x, const Pixel* y, const float* mask, int row,
                                         Workspace& work) {
#pragma GCC unroll 4
  for (int g = 0; g < VectorsPerGroup; g++) {
    const V a = load(x + g * Lanes), b = load(y + g * Lanes), w = load(mask + g * Lanes);
    const V p = w > 0 ? a + b - two_s : V{}, m = w > 0 ? a - b - t : V{};
    const int i = row * VectorsPerGroup + g;
    work.prepared[OfP][i] = w * p;
    work.prepared[OfM][i] = w * m;
    work.prepared[OfPP][i] = w * p * p;
    work.prepared[OfMM][i] = w * m * m;
    work.prepared[OfWeight][i] = w;
  }
}

// ---- the two passes of the moments

// Append one group of columns, blurred down, to the strip of moments.
template <Mode mode, class Pixel, class Filter>
LOOKALIKE_INLINE void vertical_pass(const Pair<Pixel>& pair, const Shift& shift, const Filter& filter,
                                    const Rows<Pixel>& from, Workspace& work) {
  constexpr bool Masked = mode == Mode::Masked;
  const int column = work.moments.end(), rows = Lanes + filter.taps() - 1;
  const V two_s = splat(shift.two_s), t = splat(shift.t);
  if (column >= 0 && column + Group <= pair.width) {
    for (int i = filter.taps() - 1; i < rows; i++) {  // the rows above were fetched for the block before
      __builtin_prefetch(from.x[i] + column + PrefetchColumns);
      __builtin_prefetch(from.y[i] + column + PrefetchColumns);
    }
    for (int i = 0; i < rows; i++) {
      const Pixel *x = from.x[i] + column, *y = from.y[i] + column;
      if constexpr (Masked) prepare_masked_row(two_s, t, x, y, from.mask[i] + column, i, work);
      else prepare_row<mode>(two_s, t, x, y, i, work);
    }
  } else {
    for (int i = 0; i < rows; i++) {
      Pixel x[Group], y[Group];
      pair.gather(from.x[i], column, Pixel(0), x);
      pair.gather(from.y[i], column, Pixel(0), y);
      if constexpr (Masked) {
        float mask[Group];
        pair.gather(from.mask[i], column, 1.f, mask);
        prepare_masked_row(two_s, t, x, y, mask, i, work);
      } else {
        prepare_row<mode>(two_s, t, x, y, i, work);
      }
    }
  }
  for (int q = 0; q < (Masked ? 5 : 4); q++) {
    for (int g = 0; g < VectorsPerGroup; g++) {
      V blurred[Lanes];
#pragma GCC unroll 16
      for (int r = 0; r < Lanes; r += Step) {
        const V* rows_from = &work.prepared[q][r * VectorsPerGroup + g];
        filter.template apply<Step>([&](int k) { return rows_from[k * VectorsPerGroup]; }, blurred + r);
      }
      transpose(blurred, &work.moments.columns[q][work.moments.count + g * Lanes]);
    }
  }
  work.moments.count += Group;
}

// What the strip holds of p and p², or of m and m², about another shift: that much less is subtracted than before.
template <bool Masked>
void move_shift(Strip<5>& strip, Quantity first, Quantity second, float less) {
  if (less == 0) return;
  const V d = splat(less);
  for (int i = 0; i < strip.count; i++) {
    V &of_p = strip.columns[first][i], &of_pp = strip.columns[second][i];
    const V more = Masked ? d * strip.columns[OfWeight][i] : d;
    of_pp += d * (of_p + of_p + more);
    of_p += more;
  }
}

// The moments of `Step` map columns; `inside` is the first one's place in the strip.
template <bool Masked, class Filter>
LOOKALIKE_INLINE void horizontal_pass(const Filter& filter, const Formula& f, const Shift& shift, const Workspace& work,
                                      int inside, Moments* moments) {
  V blurred[5][Step];
  for (int q = 0; q < (Masked ? 5 : 4); q++) {
    const V* columns = &work.moments.columns[q][inside];
    filter.template apply<Step>([&](int k) { return columns[k]; }, blurred[q]);
  }
  const V more_p = splat(shift.two_s - f.shift.two_s), more_m = splat(shift.t - f.shift.t);
  for (int n = 0; n < Step; n++) {
    if constexpr (Masked) {  // windows are renormalised, so whatever their weights sum to does not matter
      const V share = blurred[OfWeight][n], inverse = share > 0 ? 1 / share : V{};
      const V p = blurred[OfP][n] * inverse, m = blurred[OfM][n] * inverse;
      const V var_p = blurred[OfPP][n] * inverse - p * p, var_m = blurred[OfMM][n] * inverse - m * m;
      moments[n] = {p + more_p, m + more_m, var_p, var_m, share};
    } else {
      const V p = blurred[OfP][n], m = blurred[OfM][n];
      V var_p = blurred[OfPP][n] - p * p, var_m = blurred[OfMM][n] - m * m;
      if (!Filter::exact) var_p += f.excess * (p * p), var_m += f.excess * (m * m);
      moments[n] = {p + more_p, m + more_m, var_p, var_m, V{}};
    }
  }
}

// Give the sink the moments of map columns [first, last) of the block whose first map row is `map_row`.
template <Mode mode, class Pixel, class Filter, class Sink>
void scan_block(const Job& job, const Pair<Pixel>& pair, const Formula& f, const Filter& filter, int map_row, int first,
                int last, Workspace& work, Sink& sink) {
  constexpr bool Masked = mode == Mode::Masked;
  const int taps = filter.taps();
  const int first_row = most(0, map_row - pair.reach), last_row = least(pair.height, map_row - pair.reach + Lanes + taps - 1);
  Shift shift = f.shift;
  const Rows<Pixel> rows(pair, map_row - pair.reach, Lanes + taps - 1);

  work.moments.start(round_down(first - pair.reach, Group));
  const int needed = last - pair.reach + taps - 1;  // image columns before this one
  for (int next = first; next < last;) {
    const int chunk = most(0, work.moments.end()), chunk_end = least(pair.width, work.moments.end() + Chunk);
    if (chunk < chunk_end && first_row < last_row) {
      const Shift before = shift;
      shift = Shift::of(job, pair, first_row, last_row, chunk, chunk_end);
      move_shift<Masked>(work.moments, OfP, OfPP, before.two_s - shift.two_s);
      move_shift<Masked>(work.moments, OfM, OfMM, before.t - shift.t);
    }
    for (int i = 0; i < Chunk && work.moments.end() < needed; i += Group)
      vertical_pass<mode>(pair, shift, filter, rows, work);
    int stop = work.moments.end() - (taps - 1) + pair.reach;
    stop = stop >= last ? last : next + most(0, (stop - next) / Step * Step);
    for (; next < stop; next += Step) {
      Moments moments[Step];
      horizontal_pass<Masked>(filter, f, shift, work, next - pair.reach - work.moments.origin, moments);
      sink.take(next, least(Step, last - next), moments);
    }
    next = stop;
    sink.finish_chunk(next);
    work.moments.drop_before(next - pair.reach);
  }
}

// ---- sums

// Sums over the rows of a block, one row a lane: float32 inside a short run, double across runs.
struct RowSums {
  V run = {};
  VD low = {}, high = {};

  LOOKALIKE_INLINE void finish_run() {
    low += low_doubles(run);
    high += high_doubles(run);
    run = V{};
  }
  double over_rows(int rows) const {
    double sum = 0;
    for (int r = 0; r < rows; r++) sum += r < Lanes / 2 ? low[r] : high[r - Lanes / 2];
    return sum;
  }
};

// Σ w |x − y| over a rectangle of pixels.
template <class Pixel>
double absolute_difference(const Pair<Pixel>& pair, int first_row, int last_row, int first, int last) {
  double total = 0;
  for (int row = first_row; row < last_row; row++) {
    const Pixel *x = pair.x + row * pair.x_row, *y = pair.y + row * pair.y_row;
    const float* mask = pair.mask ? pair.mask + row * pair.mask_row : nullptr;
    RowSums sums;
    int column = first;
    for (; column + Lanes <= last; column += Lanes) {
      V m = load(x + column) - load(y + column);
      if (mask) {
        const V w = load(mask + column);
        m = w > 0 ? m * w : V{};
      }
      sums.run += m < 0 ? -m : m;
      if ((column - first) % (16 * Lanes) == 0) sums.finish_run();
    }
    sums.finish_run();
    total += sums.over_rows(Lanes);
    for (; column < last; column++) {
      float m = float(x[column]) - float(y[column]);
      if (mask) m = mask[column] > 0 ? m * mask[column] : 0;
      total += m < 0 ? -m : m;
    }
  }
  return total;
}

// The sums of the block of rows whose number is `block`, as far as one tile of columns contributes to them.
template <class Pixel>
void keep_sums(const Job& job, const Pair<Pixel>& pair, int plane, int block, int tile, const RowSums& ssim,
               const RowSums& cs) {
  const int row = block * Lanes, rows = least(Lanes, job.map_height - row);
  const int last_row = block + 1 == job.blocks ? job.height : row + Lanes;  // the last block takes what is left
  const int first = tile * job.tile_width, last = least(job.width, first + job.tile_width);
  double* sums = job.sums + ((ptrdiff_t(plane) * job.blocks + block) * job.tiles + tile) * SumsPerBlock;
  sums[0] = ssim.over_rows(rows);
  sums[1] = cs.over_rows(rows);
  sums[2] = job.want_l1 ? absolute_difference(pair, row, last_row, first, last) : 0;
}

// ---- forward

// Blocks of a map of the whole plane as columns (lanes = rows): written, or read, Lanes columns at a time.
LOOKALIKE_INLINE void store_columns(const V* columns, int count, int rows, float* map, ptrdiff_t map_width) {
  V lines[Lanes];
  transpose(columns, lines);
  for (int r = 0; r < rows; r++) store_some(map + r * map_width, lines[r], count);
}
LOOKALIKE_INLINE void load_columns(const float* map, ptrdiff_t map_width, int count, int rows, V* columns) {
  V lines[Lanes] = {};
  for (int r = 0; r < rows; r++) lines[r] = load_some(map + r * map_width, count);
  transpose(lines, columns);
}

// Sums the map values of one block of rows, and writes the maps where they are wanted.
template <bool Masked>
struct ValueSink {
  const Job& job;
  const Formula& f;
  int plane, row;
  RowSums ssim, cs;
  V ssim_columns[Lanes], cs_columns[Lanes];

  LOOKALIKE_INLINE void take(int column, int count, const Moments* moments) {
    V s[Step], c[Step];
    for (int n = 0; n < Step; n++) {
      const Moments& e = moments[n];
      const V sum = e.p + f.two_s, difference = e.m + f.t;
      const V a = sum * sum, b = difference * difference, v = e.var_p, u = e.var_m;
      c[n] = 1 - (u + u) / (v + u + f.two_c2);
      s[n] = c[n] * (1 - (b + b) / (a + b + f.two_c1));
    }
    if (job.ssim_map) keep_map(column, count, s, c);
    for (int n = 0; n < count; n++) {
      ssim.run += Masked ? s[n] * moments[n].share : s[n];
      cs.run += Masked ? c[n] * moments[n].share : c[n];
    }
    if (column % 16 == 0) ssim.finish_run(), cs.finish_run();
  }
  void finish_chunk(int) { ssim.finish_run(), cs.finish_run(); }

  void keep_map(int column, int count, const V* s, const V* c) {
    const int inside = column % Lanes, columns = inside + count;
    for (int n = 0; n < Step; n++) ssim_columns[inside + n] = s[n], cs_columns[inside + n] = c[n];
    if (columns < Lanes && column + count < job.map_width) return;
    const ptrdiff_t place = (ptrdiff_t(plane) * job.map_height + row) * job.map_width + column - inside;
    const int rows = least(Lanes, job.map_height - row);
    store_columns(ssim_columns, columns, rows, job.ssim_map + place, job.map_width);
    store_columns(cs_columns, columns, rows, job.cs_map + place, job.map_width);
  }
};

template <Mode mode, class Pixel, class Filter>
void forward(const Job& job, int plane, int first_block, int last_block, void* scratch) {
  Workspace& work = Workspace::in(scratch, job);
  const Pair<Pixel> pair(job, plane, work.zeros(), work.ones());
  const Formula f(job, pair);
  const Filter filter(job);
  for (int block = first_block; block < last_block; block++) {
    if constexpr (mode == Mode::Looking) work.least = splat(__builtin_inff()), work.most = splat(-__builtin_inff());
    ValueSink<mode == Mode::Masked> sink{job, f, plane, block * Lanes, {}, {}, {}, {}};
    scan_block<mode>(job, pair, f, filter, block * Lanes, 0, job.map_width, work, sink);
    if constexpr (mode == Mode::Looking) {
      float* extremes = job.extremes + 2 * (ptrdiff_t(plane) * job.blocks + block);
      for (int i = 0; i < Lanes; i++) {
        if (work.least[i] < extremes[0]) extremes[0] = work.least[i];
        if (work.most[i] > extremes[1]) extremes[1] = work.most[i];
      }
    }
    keep_sums(job, pair, plane, block, 0, sink.ssim, sink.cs);
  }
}

// ---- gradient

// The columns of the gradient that one task computes.
struct Tile {
  int first, last;          // image columns
  int map_first, map_last;  // map columns that they depend on

  Tile(const Job& job, int tile) {
    first = tile * job.tile_width;
    last = least(job.width, first + job.tile_width);
    map_first = most(0, first + job.reach - (job.taps - 1));
    map_last = least(job.map_width, last + job.reach);
  }
};

// The latest rows of the derivatives' maps, blurred along the row. What is read together lies together: squares of
// Lanes rows by Lanes columns, all maps of a square one after the other.
template <int Maps>
struct Ring {
  static constexpr int Square = Lanes * Lanes;

  float* squares;
  int blocks, squares_per_block;

  Ring(const Job& job, float* memory) : squares(memory), blocks(blocks_of(job)), squares_per_block(width_of(job)) {
    std::memset(squares + ptrdiff_t(blocks) * squares_per_block * Maps * Square, 0, sizeof(float) * Maps * Square);
  }
  static int blocks_of(const Job& job) { return round_up(Lanes + job.taps - 1, Lanes) / Lanes; }
  static int width_of(const Job& job) { return round_up(least(job.width, job.tile_width), Lanes) / Lanes; }
  static size_t floats_for(const Job& job) { return (size_t(blocks_of(job)) * width_of(job) + 1) * Maps * Square; }

  // Where a row begins in the first square, and how far it is to the next square; map q is q · Square further.
  struct Row {
    const float* start;
    ptrdiff_t step;
  };
  float* block(int row) const { return squares + ptrdiff_t(row / Lanes % blocks) * squares_per_block * Maps * Square; }
  Row row(int row) const {
    if (row < 0) return {squares + ptrdiff_t(blocks) * squares_per_block * Maps * Square, 0};  // zeros
    return {block(row) + row % Lanes * Lanes, Maps * Square};
  }
};

// Turns moments into derivatives, blurs those along the row, and leaves them in the ring.
template <bool Masked, bool WithY, class Filter>
struct DerivativeSink {
  static constexpr int Maps = WithY ? 4 : 3;  // of dp + dm, the factors of p and of m, and dp − dm

  const Job& job;
  const Formula& f;
  const Filter& filter;
  const Tile& tile;
  const Ring<Maps>& ring;
  Workspace& work;
  int plane, row;
  int next_column;                            // the first gradient column not yet in the ring
  V ssim_weight, cs_weight;                   // upstream, times the row's weight
  V ssim_upstream[Lanes], cs_upstream[Lanes]; // the same for each of a few columns, where it is a map
  RowSums ssim, cs;

  DerivativeSink(const Job& job, const Formula& f, const Filter& filter, const Tile& tile, const Ring<Maps>& ring,
                 Workspace& work, int plane, int row)
      : job(job), f(f), filter(filter), tile(tile), ring(ring), work(work), plane(plane), row(row),
        next_column(tile.first) {
    ssim_weight = splat(job.ssim_upstream ? 1.f : job.scales[2 * plane]);
    cs_weight = splat(job.ssim_upstream ? 1.f : job.scales[2 * plane + 1]);
    if (job.border == Border::Reflect) {
      V twice = splat(1.f);
      for (int r = 0; r < Lanes; r++) twice[r] = row + r == 0 || row + r == job.map_height - 1 ? 2.f : 1.f;
      ssim_weight *= twice, cs_weight *= twice;
    }
    work.derivatives.start(tile.first + job.reach - (job.taps - 1));
    work.derivatives.count = tile.map_first - work.derivatives.origin;
    for (int q = 0; q < Maps; q++)
      for (int i = 0; i < work.derivatives.count; i++) work.derivatives.columns[q][i] = V{};
  }

  LOOKALIKE_INLINE void take(int column, int count, const Moments* moments) {
    if (job.ssim_upstream && (column - tile.map_first) % Lanes == 0) load_upstream(column);
    const int inside = column - work.derivatives.origin;
    V s[Step], c[Step];
    for (int n = 0; n < Step; n++) {
      V for_ssim = ssim_weight, for_cs = cs_weight;
      if (job.ssim_upstream) {
        const int i = (column - tile.map_first) % Lanes + n;
        for_ssim *= ssim_upstream[i], for_cs *= cs_upstream[i];
      }
      const Moments& e = moments[n];
      const V sum = e.p + f.two_s, difference = e.m + f.t;
      const V a = sum * sum, b = difference * difference, v = e.var_p, u = e.var_m;
      const V inverse1 = 1 / (a + b + f.two_c1), inverse2 = 1 / (v + u + f.two_c2);
      const V lost_l = (b + b) * inverse1, lost_cs = (u + u) * inverse2;  // 1 − l and 1 − cs
      const V l = 1 - lost_l;
      c[n] = 1 - lost_cs;
      s[n] = l * c[n];
      V by_cs = (for_ssim * l + for_cs) * inverse2, by_l = for_ssim * c[n] * inverse1;
      by_cs += by_cs, by_l += by_l;
      // With a mask, a position counts by E[w], and its moments are sums over E[w]: the two cancel.
      const V by_pp = by_cs * lost_cs, by_mm = by_cs * (lost_cs - 2);  // twice the derivatives by E[p²] and E[m²]
      const V by_p = by_l * lost_l * sum - e.p * by_pp, by_m = by_l * (lost_l - 2) * difference - e.m * by_mm;
      work.derivatives.columns[0][inside + n] = by_p + by_m;
      work.derivatives.columns[1][inside + n] = by_pp;
      work.derivatives.columns[2][inside + n] = by_mm;
      if (WithY) work.derivatives.columns[3][inside + n] = by_p - by_m;
    }
    for (int n = 0; n < count; n++) {
      // Map columns left of the tile belong to the tile before; those right of it, to the next.
      if (column + n >= tile.first && column + n < tile.last) {
        ssim.run += Masked ? s[n] * moments[n].share : s[n];
        cs.run += Masked ? c[n] * moments[n].share : c[n];
      }
    }
    if (column % 16 < Step) ssim.finish_run(), cs.finish_run();
  }

  void load_upstream(int column) {
    const ptrdiff_t place = (ptrdiff_t(plane) * job.map_height + row) * job.map_width + column;
    const int columns = least(Lanes, job.map_width - column), rows = least(Lanes, job.map_height - row);
    load_columns(job.ssim_upstream + place, job.map_width, columns, rows, ssim_upstream);
    load_columns(job.cs_upstream + place, job.map_width, columns, rows, cs_upstream);
  }

  void finish_chunk(int next) {
    ssim.finish_run(), cs.finish_run();
    Strip<4>& strip = work.derivatives;
    const int before = strip.end();
    strip.count = next - strip.origin;
    const bool at_start = before == tile.map_first, at_end = next == tile.map_last;
    if (job.border == Border::Reflect) {
      if (at_start && tile.map_first == 0) count_twice(0);
      if (at_end && tile.map_last == job.map_width) count_twice(job.map_width - 1);
    }
    if (at_start) extend(strip.origin, tile.map_first);
    if (at_end) {
      const int end = tile.last + job.reach;
      extend(next, end);
      strip.count = end - strip.origin;
    }
    for (; next_column + Lanes + job.reach <= strip.end() || (at_end && next_column < tile.last); next_column += Lanes)
      horizontal_blur();
    strip.drop_before(next_column + job.reach - (job.taps - 1));
  }

  void count_twice(int column) {
    for (int q = 0; q < Maps; q++) work.derivatives.columns[q][column - work.derivatives.origin] *= 2;
  }

  // Columns [first, last) lie outside the map.
  void extend(int first, int last) {
    Strip<4>& strip = work.derivatives;
    for (int column = first; column < last; column++) {
      const int source = source_index(column, job.map_width, job.border);
      for (int q = 0; q < Maps; q++)
        strip.columns[q][column - strip.origin] = source < 0 ? V{} : strip.columns[q][source - strip.origin];
    }
  }

  void horizontal_blur() {
    const Strip<4>& strip = work.derivatives;
    const int inside = next_column + job.reach - (job.taps - 1) - strip.origin;
    float* square = ring.block(row) + ptrdiff_t(next_column - tile.first) * Lanes * Maps;
    for (int q = 0; q < Maps; q++, square += ring.Square) {
      V blurred[Lanes], lines[Lanes];
#pragma GCC unroll 16
      for (int n = 0; n < Lanes; n += Step) {
        const V* columns = &strip.columns[q][inside + n];
        filter.template apply<Step>([&](int k) { return columns[k]; }, blurred + n);
      }
      transpose(blurred, lines);
      for (int r = 0; r < Lanes; r++) store(square + r * Lanes, lines[r]);
    }
  }
};

// Blur the ring's rows down the columns and write gradient rows [row, row + Lanes), of which only those inside
// [first_row, last_row) are wanted.
template <bool WithY, class Filter>
void write_gradient(const Job& job, const Pair<float>& pair, const Formula& f, const Filter& filter, const Tile& tile,
                    const Ring<WithY ? 4 : 3>& ring, int plane, int row, int first_row, int last_row) {
  constexpr int Maps = WithY ? 4 : 3;
  const int reached = Lanes + filter.taps() - 1;
  typename Ring<Maps>::Row rows[MaxRows];
  for (int i = 0; i < reached; i++)
    rows[i] = ring.row(source_index(row + job.reach - (job.taps - 1) + i, job.map_height, job.border));
  const V l1 = splat(job.want_l1 ? job.l1_scales[plane] : 0.f);
  const ptrdiff_t image = ptrdiff_t(plane) * job.height * job.width;

  for (int column = tile.first; column < tile.last; column += Lanes) {
    const int count = least(Lanes, tile.last - column);
    V blurred[Maps][Lanes];
    for (int q = 0; q < Maps; q++) {
#pragma GCC unroll 16
      for (int r = 0; r < Lanes; r += Step) {
        filter.template apply<Step>([&](int k) { return load(rows[r + k].start + q * ring.Square); }, &blurred[q][r]);
      }
    }
    for (int i = 0; i < reached; i++) rows[i].start += rows[i].step;

    V edge = splat(1.f);
    if (job.border == Border::Reflect) {
      if (column == 0) edge[0] = 0.5f;
      if (job.width - 1 < column + Lanes) edge[job.width - 1 - column] = 0.5f;
    }
    for (int here = most(row, first_row); here < least(row + Lanes, last_row); here++) {
      const int r = here - row;
      const V x = load_some(pair.x + here * pair.x_row + column, count);
      const V y = load_some(pair.y + here * pair.y_row + column, count);
      const float* mask = pair.mask ? pair.mask + here * pair.mask_row + column : nullptr;
      const V by_p = (x + y - f.two_s) * blurred[1][r], by_m = (x - y - f.t) * blurred[2][r];
      V gx = blurred[0][r] + by_p + by_m, gy = WithY ? blurred[3][r] + by_p - by_m : V{};
      if (job.border == Border::Reflect) {
        const V half = edge * (here == 0 || here == job.height - 1 ? 0.5f : 1.f);
        gx *= half, gy *= half;
      }
      if (job.want_l1) {
        const V sign = x > y ? l1 : x < y ? -l1 : V{};
        gx += sign, gy -= sign;
      }
      if (mask) {
        const V w = load_some(mask, count);
        gx = w > 0 ? w * gx : V{}, gy = w > 0 ? w * gy : V{};
      }
      const ptrdiff_t place = image + ptrdiff_t(here) * job.width + column;
      store_some(job.gx + place, gx, count);
      if (WithY) store_some(job.gy + place, gy, count);
    }
  }
}

template <bool Masked, bool WithY, class Filter>
void gradient(const Job& job, int plane, int tile_number, int first_row, int last_row, void* scratch) {
  Workspace& work = Workspace::in(scratch, job);
  const Pair<float> pair(job, plane, work.zeros(), work.ones());
  const Formula f(job, pair);
  const Filter filter(job);
  const Tile tile(job, tile_number);
  const Ring<WithY ? 4 : 3> ring(job, work.ring());

  int row = round_down(most(0, first_row + job.reach - (job.taps - 1)), Lanes);
  for (; row < least(job.map_height, last_row + job.reach); row += Lanes) {
    DerivativeSink<Masked, WithY, Filter> sink(job, f, filter, tile, ring, work, plane, row);
    scan_block<Masked ? Mode::Masked : Mode::Plain>(job, pair, f, filter, row, tile.map_first, tile.map_last, work, sink);
    if (row >= first_row && row < last_row)
      keep_sums(job, pair, plane, row / Lanes, tile_number, sink.ssim, sink.cs);
    if (row - job.reach + Lanes > first_row)
      write_gradient<WithY>(job, pair, f, filter, tile, ring, plane, row - job.reach, first_row, last_row);
  }
  for (row -= job.reach; row < last_row; row += Lanes)
    write_gradient<WithY>(job, pair, f, filter, tile, ring, plane, row, first_row, last_row);
}

// ---- the entries

size_t ssim_scratch_bytes(const Job& job) {
  const size_t ring = job.gx ? Ring<4>::floats_for(job) : 0;
  return sizeof(Workspace) + sizeof(float) * (2 * Workspace::row_for(job.width) + ring);
}

// Calls what.run<Filter>() with the filter made for the job's window.
template <class What>
void with_filter(const Job& job, const What& what) {
  if (job.uniform && job.taps == 7) what.template run<UniformTaps<7>>();
  else if (job.uniform && job.taps == 11) what.template run<UniformTaps<11>>();
  else if (job.uniform) what.template run<UniformTaps<0>>();
  else if (job.taps == 11) what.template run<SymmetricTaps<11>>();
  else what.template run<SymmetricTaps<0>>();
}

struct Forward {
  const Job& job;
  int plane, first_block, last_block;
  void* scratch;

  template <class Filter>
  void run() const {
    const auto run = job.mask.data ? forward<Mode::Masked, float, Filter>
                     : job.bytes   ? forward<Mode::Plain, uint8_t, Filter>
                     : job.extremes ? forward<Mode::Looking, float, Filter>
                                    : forward<Mode::Plain, float, Filter>;
    run(job, plane, first_block, last_block, scratch);
  }
};

struct Gradient {
  const Job& job;
  int plane, tile, first_row, last_row;
  void* scratch;

  template <class Filter>
  void run() const {
    const auto run = job.mask.data ? job.gy ? gradient<true, true, Filter> : gradient<true, false, Filter>
                     : job.gy      ? gradient<false, true, Filter>
                                   : gradient<false, false, Filter>;
    run(job, plane, tile, first_row, last_row, scratch);
  }
};

void ssim_forward(const Job& job, int plane, int first_block, int last_block, void* scratch) {
  with_filter(job, Forward{job, plane, first_block, last_block, scratch});
}

void ssim_gradient(const Job& job, int plane, int tile, int first_row, int last_row, void* scratch) {
  with_filter(job, Gradient{job, plane, tile, first_row, last_row, scratch});
}

}  // namespace LOOKALIKE_ISA
}  // namespace lookalike

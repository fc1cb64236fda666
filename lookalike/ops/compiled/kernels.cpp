// The table of one instruction set. Compiled once per instruction set, as the kernels are.
#include "kernels.hpp"

#include "vectors.hpp"

namespace lookalike {
namespace LOOKALIKE_ISA {

// In ssim/kernel.cpp, halving.cpp, gmsd/kernel.cpp and smooth/kernel.cpp.
size_t ssim_scratch_bytes(const Job&);
void ssim_forward(const Job&, int, int, int, void*);
void ssim_gradient(const Job&, int, int, int, int, void*);
void halve_plane(const Halving&, const void*, ptrdiff_t, bool, float*);
void add_unhalved(const Halving&, const float*, float, float*);
void sum_unlikeness(const GradientPair&, int, int, double*, double*);
void smooth_rows(const Smoothing&, int, int, float*);

}  // namespace LOOKALIKE_ISA

#define LOOKALIKE_JOIN(a, b) a##b
#define LOOKALIKE_KERNELS(isa) LOOKALIKE_JOIN(kernels_, isa)
#define LOOKALIKE_TEXT(isa) #isa
#define LOOKALIKE_NAME(isa) LOOKALIKE_TEXT(isa)

const Kernels LOOKALIKE_KERNELS(LOOKALIKE_ISA) = {
    LOOKALIKE_NAME(LOOKALIKE_ISA),  LOOKALIKE_ISA::Lanes,          LOOKALIKE_ISA::ssim_scratch_bytes,
    LOOKALIKE_ISA::ssim_forward,    LOOKALIKE_ISA::ssim_gradient,  LOOKALIKE_ISA::halve_plane,
    LOOKALIKE_ISA::add_unhalved,    LOOKALIKE_ISA::sum_unlikeness, LOOKALIKE_ISA::smooth_rows,
};

}  // namespace lookalike

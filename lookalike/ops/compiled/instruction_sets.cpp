#include "instruction_sets.hpp"

#include <stdexcept>

namespace lookalike {
namespace {

std::vector<const Kernels*> usable_kernels() {  // the fastest first
  std::vector<const Kernels*> usable;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    usable.push_back(&kernels_avx512);
  if (avx2) usable.push_back(&kernels_avx2);
#endif
  usable.push_back(&kernels_baseline);
  return usable;
}

const Kernels* kernels = usable_kernels().front();

}  // namespace

const Kernels& kernels_in_use() { return *kernels; }

std::vector<std::string> instruction_sets() {
  std::vector<std::string> names;
  for (const Kernels* usable : usable_kernels()) names.push_back(usable->name);
  return names;
}

std::string instruction_set() { return kernels->name; }

void use_instruction_set(const std::string& name) {
  for (const Kernels* candidate : usable_kernels()) {
    if (name.empty() || name == candidate->name) {
      kernels = candidate;
      return;
    }
  }
  throw std::invalid_argument("this machine has no kernels for the instruction set " + name);
}

}  // namespace lookalike

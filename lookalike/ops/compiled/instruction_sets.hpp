// Which instruction set runs.
#pragma once

#include <string>
#include <vector>

#include "kernels.hpp"

namespace lookalike {

std::vector<std::string> instruction_sets();           // that this machine has, the fastest first
std::string instruction_set();                         // in use
void use_instruction_set(const std::string& name);     // "" for the fastest
const Kernels& kernels_in_use();

}  // namespace lookalike

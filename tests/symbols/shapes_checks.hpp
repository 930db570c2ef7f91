// What must be said about the marks of a shapes program, whoever says it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "inspect/symbols/source_frame.hpp"

namespace coppice::inspect::test {

/// The frames at an ELF virtual address of the program.
using Lookup = std::function<std::vector<SourceFrame>(std::uint64_t)>;

/// No frame at all, or one frame of which nothing is known.
bool is_unknown(const std::vector<SourceFrame>& frames);

/// Checks everything that full debug information says about every mark of a program.
void check_full(const Lookup& lookup, const std::string& program);

/// Checks what a symbol table says: outermost functions, no lines. `exported_only`: as .dynsym has it.
void check_symbols(const Lookup& lookup, const std::string& program, bool exported_only);

}  // namespace coppice::inspect::test

// Words with certain values, anywhere in a target's written memory.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// A word that has one of the values looked for.
struct WordHit {
  Address address = 0;
  std::uint64_t value = 0;
  friend bool operator==(const WordHit&, const WordHit&) = default;
};

struct WordScanLimits {
  std::uint64_t mapping = 64ULL << 30U;  ///< a larger mapping is left out: shadow memory, not a heap
  std::size_t hits = 1U << 24U;
};

struct WordScan {
  std::vector<WordHit> hits;   ///< by address
  std::uint64_t bytes = 0;     ///< looked at
  bool too_many = false;       ///< the limit of hits was reached
  std::uint64_t left_out = 0;  ///< mappings that were too large
};

/// Which memory is worth looking at.
enum class ScanScope : std::uint8_t {
  heap,     ///< anonymous written memory
  written,  ///< and the written data of modules
};

/// The populated stretches of what is to be scanned, sorted.
std::vector<AddressRange> scannable(const Target& target, ScanScope scope, const WordScanLimits& limits,
                                    std::uint64_t* left_out = nullptr);

/// Looks at every aligned word of the ranges, in pieces that stay in the processor's cache: 2 GB take about
/// half a second. Pages that cannot be read are passed over.
WordScan scan_for_words(const Memory& memory, std::span<const AddressRange> ranges,
                        std::span<const std::uint64_t> values, const WordScanLimits& limits = {});

}  // namespace coppice::inspect

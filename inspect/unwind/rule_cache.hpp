// RuleCache: rules by module and offset, for ever, and by pc, for one picture of the target's modules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "inspect/unwind/rule.hpp"

namespace coppice::inspect {

/// A pc as a rule is asked for: the same address means another row when it is a return address.
struct PcKey {
  Address pc = 0;
  bool exact = false;
  friend bool operator==(const PcKey&, const PcKey&) = default;
  friend auto operator<=>(const PcKey&, const PcKey&) = default;
};

/// The same inside a file, wherever it is mapped.
struct FileKey {
  std::uint64_t offset = 0;  ///< ELF virtual address
  std::uint32_t file = 0;
  bool exact = false;
  friend bool operator==(const FileKey&, const FileKey&) = default;
};

/// Many pcs share few rules, so a rule is stored once and both tables hold its number. The table by pc is one
/// open-addressed array (a lookup is one multiplication and, nearly always, one cache line); it must be
/// cleared when modules move.
class RuleCache {
 public:
  RuleCache();

  /// The rule at a pc, or null. Valid until the next `add` or `bind`.
  const Rule* find(const PcKey& key) const noexcept {
    for (std::size_t at = home(key);; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.pc == key.pc && slot.use == use_of(key)) return &rules_[slot.rule];
      if (slot.use == Use::empty) return nullptr;
    }
  }

  /// Makes the rule known at `pc` from what is known of the file. False: nothing is.
  bool bind(const PcKey& pc, const FileKey& file);

  /// Adds a rule at a pc, and for the file too if `file` is given.
  void add(const PcKey& pc, const FileKey* file, const Rule& rule);

  /// Forgets which pc is where; keeps what is known of files.
  void clear_pcs();

  /// Forgets everything when hostile stacks have brought more pcs than programs have.
  void trim();

  std::size_t pcs() const noexcept { return used_; }
  std::size_t distinct_rules() const noexcept { return rules_.size(); }

 private:
  enum class Use : std::uint32_t { empty, return_address, exact };
  struct Slot {
    Address pc = 0;
    std::uint32_t rule = 0;
    Use use = Use::empty;
  };
  struct FileKeyHash {
    std::size_t operator()(const FileKey& key) const noexcept;
  };
  struct RuleHash {
    std::size_t operator()(const Rule& rule) const noexcept;
  };

  static Use use_of(const PcKey& key) noexcept { return key.exact ? Use::exact : Use::return_address; }
  // Fibonacci hashing: the high bits of the product depend on all bits of the pc.
  std::size_t home(const PcKey& key) const noexcept { return (key.pc * 0x9e3779b97f4a7c15U) >> shift_; }
  void resize(unsigned bits);
  void insert(const PcKey& key, std::uint32_t rule);

  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  unsigned shift_ = 0;
  std::size_t used_ = 0;
  std::vector<Rule> rules_;
  std::unordered_map<Rule, std::uint32_t, RuleHash> numbers_;
  std::unordered_map<FileKey, std::uint32_t, FileKeyHash> by_file_;
};

}  // namespace coppice::inspect

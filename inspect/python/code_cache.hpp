// What is known of code objects: names and line tables, kept from one reading to the next.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "inspect/base/interned.hpp"
#include "inspect/python/python_frames.hpp"

namespace coppice::inspect {

/// One code object.
struct CodeInfo {
  enum class Kind : std::uint8_t {
    known,
    unreadable,
    not_code,  ///< something else lies there
  };
  Kind kind = Kind::unreadable;
  Interned function;  ///< empty: its name could not be read
  Interned file;      ///< likewise
  std::int32_t first_line = 0;
  std::int32_t first_traceable = 0;                  ///< code unit
  std::int64_t size = 0;                             ///< bytes of code; 0: not known (until 3.10)
  std::optional<std::vector<std::byte>> line_table;  ///< none: it could not be read

  /// The line of the instruction at a byte offset; 0 when it has none. Remembers the last few.
  std::uint32_t line(LineTable kind_of_table, std::int64_t offset);

  /// What of the code object tells it from another one at the same address: its size and first line, and
  /// where its strings and its line table are.
  std::array<std::uint64_t, 6> identity{};

 private:
  std::vector<std::pair<std::int64_t, std::uint32_t>> lines_;
};

/// Code objects by address. Thread-safety: one thread at a time.
class CodeCache {
 public:
  CodeCache(const PythonRuntime& python, const PythonLimits& limits) : python_(python), limits_(limits) {}

  /// Looks at all of them in the target, and reads those that are new or not what they were. Pointers got
  /// before are invalid afterwards. `codes` may name one several times.
  void update(const Memory& memory, std::vector<Address> codes);

  /// One of those that update() was given. Valid until the next update().
  CodeInfo& at(Address code) { return codes_.find(code)->second; }

 private:
  bool look(std::span<const std::byte> bytes, CodeInfo& info) const;
  void read(const Memory& memory, std::span<const std::byte> bytes, CodeInfo& info);
  Interned read_name(const Memory& memory, Address string, std::size_t limit);

  const PythonRuntime& python_;
  const PythonLimits& limits_;
  std::unordered_map<Address, CodeInfo> codes_;
  std::unordered_map<Address, Interned> strings_;  ///< of one update
};

}  // namespace coppice::inspect

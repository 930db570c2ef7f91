// Symbolizer: from module and offset to function, file, line and inlined frames.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "inspect/symbols/source_frame.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect {

class Worker;

/// What is known about an address, innermost inlined frame first. Never empty: without any symbol it is one
/// frame with an empty function, which views print as module+0xoffset.
struct SymbolizedAddress {
  const Module* module = nullptr;  ///< null: in no module
  std::uint64_t offset = 0;        ///< ELF virtual address of the looked-up pc
  std::vector<SourceFrame> frames;
};

/// An address to name. For a return address the line is looked up at pc - 1.
struct SymbolQuery {
  Address pc = 0;
  bool exact = false;
  DebugDepth depth =
      DebugDepth::full;  ///< at least; what is known already is answered as deep as it is known
};

/// Names addresses by libdw inside coppice-worker: debug information, .symtab, .dynsym, separate debug files.
/// Lazy (a module's debug information is loaded at the first question about it) and cached by module identity
/// for the life of the object. An address whose debug information kills the worker is named from symbol
/// tables; so is a module where that happens repeatedly, or where it stalls the worker; and where symbol
/// tables do that too, by offset only. Whatever could not be used is told by `take_warnings`. No file is ever
/// fetched: debuginfod is not asked. Thread-safety: one thread at a time.
class Symbolizer {
 public:
  struct Options {
    /// CPU time the worker may spend on one address, the loading of its module included. Gigabytes of
    /// compressed debug information take seconds.
    std::uint32_t address_cpu_ms = 10'000;
  };

  /// `worker` must outlive the Symbolizer.
  explicit Symbolizer(Worker& worker);
  Symbolizer(Worker& worker, Options options);
  ~Symbolizer();

  /// Answers all queries, in their order, with as few exchanges with the worker as possible.
  /// The pointers stay valid until the Symbolizer is destroyed (entries are never evicted), but what they
  /// point to changes when an address is asked for again and deeper; `module` inside is valid until the
  /// target is refreshed.
  std::vector<const SymbolizedAddress*> symbolize(const Target& target, std::span<const SymbolQuery> queries);

  std::vector<std::string> take_warnings();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coppice::inspect

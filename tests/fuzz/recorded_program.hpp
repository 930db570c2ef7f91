// A real program's greenlets and what reading them touched of its memory, so that it can be changed and read
// again.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "inspect/greenlets/provider.hpp"
#include "inspect/python/python_runtime.hpp"
#include "tests/snapshot/fake_target.hpp"

namespace coppice::inspect::testing {

/// Passes reads on and remembers which bytes they were given.
class RecordingMemory final : public Memory {
 public:
  /// `memory` must outlive the object.
  explicit RecordingMemory(const Memory& memory) : memory_(memory) {}
  void read_batch(std::span<ReadRequest> requests) const override;

  /// What was read, sorted and disjoint, in whole words.
  std::vector<AddressRange> ranges() const;

 private:
  const Memory& memory_;
  mutable std::map<Address, Address> read_;  ///< ends by starts, overlapping
};

/// Taken from a program that is running, which is not needed any more afterwards.
struct RecordedProgram {
  FakeTarget target;  ///< all but its memory
  PythonRuntime python;
  std::vector<Greenlet> greenlets;  ///< as the provider gives them, with stacks
};

/// Runs a Python program until it has printed a line. Ended with this object.
class PythonProgram {
 public:
  explicit PythonProgram(const std::string& path);
  ~PythonProgram();
  PythonProgram(const PythonProgram&) = delete;
  PythonProgram& operator=(const PythonProgram&) = delete;

  pid_t pid() const noexcept { return pid_; }
  bool ready() const noexcept { return ready_; }

 private:
  pid_t pid_ = -1;
  bool ready_ = false;
};

/// What there is to be read of a process, without its memory. Ends this process with a message where that
/// fails: there is nothing to fuzz.
RecordedProgram record(Target& target);

}  // namespace coppice::inspect::testing

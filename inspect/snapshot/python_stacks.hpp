// The Python stacks of a target's greenlets, by whichever CPython runs them.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "inspect/greenlets/greenlet.hpp"
#include "inspect/python/python_runtime.hpp"
#include "inspect/python/python_stack.hpp"
#include "inspect/snapshot/merge.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// Finds the interpreters of a target and keeps what was learned about their code from one snapshot to the
/// next. Thread-safety: one thread at a time.
class PythonStacks {
 public:
  PythonStacks();
  ~PythonStacks();

  /// Looks for interpreters again: the target's modules have changed. Adds a sentence for each that cannot be
  /// read to what `warnings` tells.
  void find(const Target& target);

  /// The Python stack of a greenlet of CPython, and what runs it.
  struct Found {
    PythonStack stack;
    const Evaluator* evaluator = nullptr;   ///< null: no interpreter could be told, `stack.error` says why
    const PythonRuntime* python = nullptr;  ///< the same
  };

  /// The Python stacks of these greenlets: names and lines of the frames that were read together with their C
  /// stacks; same order. Greenlets that have no such frames, or are not CPython's, get an empty one.
  std::vector<Found> name(const Target& target, std::span<const Greenlet* const> greenlets);

  /// The one interpreter there is; null when there is none, or several.
  const PythonRuntime* only_runtime() const noexcept;

  /// Paths of the modules that are the interpreters.
  std::vector<Interned> interpreters() const;

  const std::vector<std::string>& warnings() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coppice::inspect

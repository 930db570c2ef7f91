#include "inspect/snapshot/python_stacks.hpp"

#include <algorithm>
#include <deque>
#include <utility>

#include "inspect/python/python_frames.hpp"
#include "inspect/target/dynamic_symbols.hpp"

namespace coppice::inspect {
namespace {

/// One CPython with what is known of it.
struct Interpreter {
  PythonReader reader;
  Evaluator evaluator;
};

Evaluator evaluator_of(const Target& target, const PythonRuntime& python) {
  Evaluator evaluator;
  evaluator.module = python.module;
  const Module* module = target.module_at(python.module_start);
  if (module == nullptr) return evaluator;
  const auto symbols = DynamicSymbols::find_tables(target.memory(), *module);
  if (!symbols.ok()) return evaluator;
  if (const auto symbol = symbols->find("_PyEval_EvalFrameDefault")) {
    evaluator.start = symbol->address;
    evaluator.size = symbol->size;
  }
  return evaluator;
}

}  // namespace

struct PythonStacks::Impl {
  std::deque<Interpreter> interpreters;
  std::vector<std::string> warnings;

  Interpreter* of(const Target& target, const Greenlet& greenlet);
};

/// Whose greenlet this is: the type of its type, `type` itself, lies in the module of its interpreter.
Interpreter* PythonStacks::Impl::of(const Target& target, const Greenlet& greenlet) {
  if (interpreters.size() == 1) return &interpreters.front();
  constexpr std::uint64_t type_of = PythonLayout::object_type;
  const auto type = target.memory().read_value<Address>(greenlet.address + type_of);
  if (!type.ok()) return nullptr;
  const auto metatype = target.memory().read_value<Address>(*type + type_of);
  if (!metatype.ok()) return nullptr;
  const Module* module = target.module_at(*metatype);
  if (module == nullptr) return nullptr;
  const auto found = std::ranges::find_if(interpreters, [module](const Interpreter& interpreter) {
    return interpreter.reader.runtime().module_start == module->start;
  });
  return found == interpreters.end() ? nullptr : &*found;
}

PythonStacks::PythonStacks() : impl_(std::make_unique<Impl>()) {}
PythonStacks::~PythonStacks() = default;

const std::vector<std::string>& PythonStacks::warnings() const noexcept {
  return impl_->warnings;
}

const PythonRuntime* PythonStacks::only_runtime() const noexcept {
  return impl_->interpreters.size() == 1 ? &impl_->interpreters.front().reader.runtime() : nullptr;
}

std::vector<Interned> PythonStacks::interpreters() const {
  std::vector<Interned> paths;
  for (const Interpreter& interpreter : impl_->interpreters) paths.push_back(interpreter.evaluator.module);
  return paths;
}

void PythonStacks::find(const Target& target) {
  impl_->interpreters.clear();
  impl_->warnings.clear();
  PythonSearch search = find_python(target);
  for (PythonRuntime& python : search.found) {
    const Evaluator evaluator = evaluator_of(target, python);
    impl_->interpreters.push_back({PythonReader(std::move(python)), evaluator});
  }
  for (const Error& refused : search.refused) impl_->warnings.push_back(refused.message);
}

std::vector<PythonStacks::Found> PythonStacks::name(const Target& target,
                                                    std::span<const Greenlet* const> greenlets) {
  std::vector<Found> found(greenlets.size());
  std::vector<Interpreter*> owner(greenlets.size());
  for (std::size_t i = 0; i < greenlets.size(); ++i) {
    if (greenlets[i]->provider != "cpython") continue;
    owner[i] = impl_->of(target, *greenlets[i]);
    if (owner[i] != nullptr) {
      found[i].evaluator = &owner[i]->evaluator;
      found[i].python = &owner[i]->reader.runtime();
    } else {
      found[i].stack.error =
          Error{ErrorCode::unsupported, greenlets[i]->address,
                impl_->warnings.empty() ? "no Python interpreter is known to run this greenlet"
                                        : impl_->warnings.front()};
    }
  }
  for (Interpreter& interpreter : impl_->interpreters) {
    std::vector<std::size_t> places;
    std::vector<const PythonChain*> chains;
    for (std::size_t i = 0; i < greenlets.size(); ++i) {
      const auto& chain = greenlets[i]->python_chain;
      if (owner[i] != &interpreter || !chain) continue;
      places.push_back(i);
      chains.push_back(&*chain);
    }
    std::vector<PythonStack> stacks = interpreter.reader.name_all(target.memory(), chains);
    for (std::size_t i = 0; i < places.size(); ++i) found[places[i]].stack = std::move(stacks[i]);
  }
  return found;
}

}  // namespace coppice::inspect

#include "inspect/snapshot/python_stacks.hpp"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "inspect/python/python_frames.hpp"
#include "inspect/python/python_threads.hpp"
#include "inspect/target/dynamic_symbols.hpp"

namespace coppice::inspect {
namespace {

/// One CPython with what is known of it.
struct Interpreter {
  PythonReader reader;
  Evaluator evaluator;
  std::vector<PythonThread> threads;  ///< as of this reading
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

const PythonLayout* PythonStacks::only_layout() const noexcept {
  return impl_->interpreters.size() == 1 ? &impl_->interpreters.front().reader.runtime().layout : nullptr;
}

void PythonStacks::find(const Target& target) {
  impl_->interpreters.clear();
  impl_->warnings.clear();
  PythonSearch search = find_python(target);
  for (PythonRuntime& python : search.found) {
    const Evaluator evaluator = evaluator_of(target, python);
    impl_->interpreters.push_back({PythonReader(std::move(python)), evaluator, {}});
  }
  for (const Error& refused : search.refused) impl_->warnings.push_back(refused.message);
}

namespace {

/// What a greenlet's Python stack is read from; none when there is nothing to read.
std::optional<PythonRequest> request_for(const Greenlet& greenlet, const Interpreter& interpreter) {
  if (greenlet.state == State::suspended || greenlet.state == State::orphaned) {
    if (!greenlet.python) return std::nullopt;
    return PythonRequest::of_greenlet(greenlet);
  }
  if (greenlet.state != State::running || !greenlet.tid) return std::nullopt;
  const PythonThread* running = nullptr;
  for (const PythonThread& thread : interpreter.threads) {
    // In which of several subinterpreters a thread is, is where it runs something.
    if (thread.tid == greenlet.tid && (running == nullptr || thread.frame != 0)) running = &thread;
  }
  if (running == nullptr) return std::nullopt;
  return PythonRequest::of_thread(*running, greenlet.slice.start, greenlet.stack);
}

}  // namespace

std::vector<PythonStacks::Found> PythonStacks::read(const Target& target,
                                                    std::span<const Greenlet* const> greenlets) {
  std::vector<Found> found(greenlets.size());
  for (Interpreter& interpreter : impl_->interpreters) {
    interpreter.threads = read_python_threads(target, interpreter.reader.runtime()).threads;
  }
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
    std::vector<PythonRequest> requests;
    for (std::size_t i = 0; i < greenlets.size(); ++i) {
      if (owner[i] != &interpreter) continue;
      if (auto request = request_for(*greenlets[i], interpreter)) {
        places.push_back(i);
        requests.push_back(*request);
      }
    }
    std::vector<PythonStack> stacks = interpreter.reader.read_all(target.memory(), requests);
    for (std::size_t i = 0; i < places.size(); ++i) found[places[i]].stack = std::move(stacks[i]);
  }
  return found;
}

}  // namespace coppice::inspect

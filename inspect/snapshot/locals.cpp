#include "inspect/snapshot/locals.hpp"

#include <memory>

#include "inspect/memory/cached_memory.hpp"
#include "inspect/python/python_locals.hpp"

namespace coppice::inspect {

void read_locals(const Memory& memory, std::span<PythonStacks::Found> stacks, std::size_t most_bytes) {
  const CachedMemory cached(memory);
  const auto beyond = std::make_shared<const PythonLocals>(PythonLocals{
      {},
      0,
      Error{ErrorCode::too_deep, 0, "there are too many; name the greenlets whose variables to read"}});
  std::size_t bytes = 0;
  for (PythonStacks::Found& found : stacks) {
    if (found.python == nullptr) continue;
    for (PythonFrame& frame : found.stack.frames) {
      if (bytes >= most_bytes) {
        frame.locals = beyond;
        continue;
      }
      PythonLocals locals = read_python_locals(cached, *found.python, frame);
      for (const PythonLocal& local : locals.locals) bytes += local.name.size() + local.value.size();
      frame.locals = std::make_shared<const PythonLocals>(std::move(locals));
    }
  }
}

}  // namespace coppice::inspect

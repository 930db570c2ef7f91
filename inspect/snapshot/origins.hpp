// What gevent's greenlets run, with what arguments, and who spawned them.
#pragma once

#include <span>

#include "inspect/memory/memory.hpp"
#include "inspect/python/python_runtime.hpp"
#include "inspect/snapshot/snapshot.hpp"

namespace coppice::inspect {

/// Sets `origin`, and `greenlet.spawner` where the spawner is still there, of the chosen greenlets that are
/// of gevent's Greenlet class (20.9 to 26.9) and whose spawning gevent has kept. Read as it is now:
/// Watch::forget_origins takes away those of greenlets that have gone on since they were read.
void read_origins(const Memory& memory, const PythonRuntime& python, std::span<SnapshotGreenlet> greenlets);

}  // namespace coppice::inspect

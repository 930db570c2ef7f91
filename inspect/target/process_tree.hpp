// A process and those that it started.
#pragma once

#include <sys/types.h>

#include <vector>

namespace coppice::inspect {

/// The process itself (also when there is none), then its descendants that have not exited: each before its
/// children, those of one parent by number. By the parents that /proc names at this moment: a process whose
/// parent has exited belongs to another one. This process, and what it started, is left out.
std::vector<pid_t> process_tree(pid_t root);

}  // namespace coppice::inspect

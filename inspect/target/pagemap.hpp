// Which pages of a process hold anything. Format: the kernel's admin-guide/mm/pagemap.rst.
#pragma once

#include <vector>

#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// The stretches of [start, end) whose pages are present or swapped out, by the open file /proc/PID/pagemap.
/// A page that cannot be asked about counts as holding something.
std::vector<AddressRange> populated_pages(int pagemap, Address start, Address end);

}  // namespace coppice::inspect

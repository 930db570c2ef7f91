// Where greenlets are: what a scan of memory finds, told apart from what only looks like it.
#pragma once

#include <string>
#include <vector>

#include "inspect/greenlets/cpython_extension.hpp"
#include "inspect/greenlets/cpython_scan.hpp"

namespace coppice::inspect {

struct FoundPlaces {
  /// Of C++ objects (greenlet 2.0 and newer) or PyGreenlets (older), sorted. There may be others among them.
  std::vector<Address> places;
  std::vector<std::string> warnings;
};

/// Greenlet 2.0 and newer: everything that begins with one of the extension's vtables.
FoundPlaces find_cpp_greenlets(const Target& target, const GreenletExtension& extension,
                               std::size_t most_greenlets);

/// Older ones: every object of PyGreenlet_Type and of the types derived from it, which are found first, as
/// what names one of these as its base. An object counts when the garbage collector's list goes through it.
/// `types`: those that are known from an earlier scan; new ones are added.
FoundPlaces find_flat_greenlets(const Target& target, std::vector<Address>& types,
                                std::size_t most_greenlets);

}  // namespace coppice::inspect

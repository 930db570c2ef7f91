// Where greenlets are: what a scan of memory finds, told apart from what only looks like it.
#pragma once

#include <string>
#include <vector>

#include "inspect/greenlets/cpython_extension.hpp"
#include "inspect/greenlets/cpython_scan.hpp"

namespace coppice::inspect {

struct SearchLimits {
  std::size_t greenlets = std::size_t{1} << 24U;
  std::uint64_t whole = 256U << 20U;  ///< bytes that are searched each time
  std::uint64_t turn = 64U << 20U;    ///< bytes of the rest that are searched each time where there are more
};

/// Looks for the greenlets of one extension.
///
/// Greenlet 2.0 and newer: everything that begins with one of the extension's vtables. Older: every object of
/// PyGreenlet_Type and of the types derived from it, which are found first, as what names one of these as its
/// base; such an object counts when the garbage collector's list goes through it.
///
/// Places are those of C++ objects (2.0 and newer) or of PyGreenlets, sorted. There may be others among them.
/// Thread-safety: one thread at a time.
class GreenletFinder {
 public:
  GreenletFinder(const Target& target, const GreenletExtension& extension, const SearchLimits& limits);

  /// Searches all memory where greenlets can be. When that is more than `whole`, only the first search is of
  /// everything; later ones are of the surroundings of what was found before, of memory that is new, and of
  /// the next `turn` bytes of the rest: a new greenlet that lies far from all others is found in its turn.
  std::vector<Address> find();

  /// Searches the surroundings of places only: new greenlets are mostly put where others are or were.
  std::vector<Address> find_near(std::span<const Address> places) const;

  /// What the last search left out, in words.
  std::span<const std::string> warnings() const noexcept { return warnings_; }

 private:
  std::vector<Address> find_cpp(std::span<const AddressRange> ranges, WordScan& scan) const;
  std::vector<Address> find_flat(std::span<const AddressRange> ranges, std::vector<Address>& types,
                                 WordScan& scan) const;

  std::vector<AddressRange> worth_searching(std::span<const AddressRange> ranges);

  const Target& target_;
  bool flat_;
  SearchLimits search_;
  std::vector<std::uint64_t> vtables_;
  std::vector<Address> types_;  ///< flat: those that are known
  WordScanLimits limits_;
  std::vector<AddressRange> ranges_;  ///< populated ones, as they were last
  std::vector<Address> found_;        ///< last
  Address next_turn_ = 0;             ///< where the next turn begins
  std::vector<std::string> warnings_;
};

}  // namespace coppice::inspect

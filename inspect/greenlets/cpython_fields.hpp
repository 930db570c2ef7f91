// What a greenlet of CPython says about itself, as words.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "inspect/base/interned.hpp"
#include "inspect/greenlets/cpython_layout.hpp"
#include "inspect/greenlets/range_reader.hpp"

namespace coppice::inspect {

/// The fields of one greenlet that are of use here. Unchecked words, except that it is a greenlet.
struct GreenletFields {
  Address object = 0;  ///< PyGreenlet
  Address pimpl = 0;   ///< its C++ object; flat: the PyGreenlet again
  Address type = 0;
  bool main = false;
  Address start = 0, stop = 0, copy = 0;
  std::uint64_t saved = 0;
  Address top_frame = 0, current_frame = 0, previous_frame = 0;
  Address main_greenlet = 0;  ///< PyGreenlet of its thread's main greenlet; 0 until started
  Address parent = 0;
  Address thread_state = 0;  ///< of a main greenlet; 0 when its thread has exited
  Address run_info = 0;      ///< flat only

  /// A switch changes at least one of these words.
  bool same_switch(const GreenletFields& other) const noexcept {
    return object == other.object && start == other.start && stop == other.stop && copy == other.copy &&
           saved == other.saved && top_frame == other.top_frame && current_frame == other.current_frame;
  }
};

/// The greenlet types met in one reading.
class GreenletTypes {
 public:
  GreenletTypes(const Memory& memory, const GreenletLayout& layout, Address base)
      : memory_(memory), shift_(layout.type - 0x08), base_(base) {}

  /// True when `type` is PyGreenlet_Type or derived from it.
  bool is_greenlet(Address type) { return look_up(type).greenlet; }
  /// tp_name: with its module for types written in C, alone for classes. Empty when it cannot be read.
  Interned name(Address type) { return look_up(type).name; }

 private:
  struct Entry {
    bool greenlet = false;
    Interned name;
  };
  const Entry& look_up(Address type);

  const Memory& memory_;
  std::uint64_t shift_;  ///< types are longer without the GIL
  Address base_;
  std::map<Address, Entry> types_;
};

/// Reads the fields of many greenlets at once. Memory is kept from one read() to the next, so that the second
/// is faster.
class GreenletFieldReader {
 public:
  /// All must outlive the object.
  GreenletFieldReader(const Memory& memory, const GreenletExtension& extension, const GreenletLayout& layout,
                      GreenletTypes& types)
      : extension_(extension), layout_(layout), types_(types), bodies_(memory), objects_(memory) {}

  /// Reads the greenlets at some places: C++ objects (flat: PyGreenlets). `into` gets as many entries as
  /// `places`; where there is no greenlet (any more), `object` is 0.
  void read(std::span<const Address> places, std::vector<GreenletFields>& into);

 private:
  const GreenletExtension& extension_;
  const GreenletLayout& layout_;
  GreenletTypes& types_;
  RangeReader bodies_, objects_;
};

}  // namespace coppice::inspect

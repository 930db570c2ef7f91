// The objects of a CPython, followed for many greenlets side by side.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "inspect/memory/memory.hpp"
#include "inspect/python/block_reader.hpp"
#include "inspect/python/frame_walk.hpp"
#include "inspect/python/python_dict.hpp"
#include "inspect/python/python_layout.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// Reads objects in rounds. A question whose answer needs memory that is not there yet is answered as if
/// there were nothing, and `pending` tells: ask again after `fetch`.
///
///     do { heap.begin(); for each: ask; heap.fetch(); } while (heap.pending());
///
/// Nothing is trusted: sizes are bounded, and what makes no sense is not there.
/// Thread-safety: one thread at a time.
class Heap {
 public:
  /// `memory` must outlive the object.
  Heap(const Memory& memory, const PythonLayout& layout, std::span<const Mapping> mappings);

  /// Has something been asked since `begin` that could not be answered yet?
  bool pending() const noexcept { return pending_; }
  void begin() noexcept { pending_ = false; }
  /// Runs `ask` and tells whether all that it asked was answered: for answers that are kept.
  template <class Ask>
  bool answered(Ask ask) {
    const bool pending_before = std::exchange(pending_, false);
    ask();
    const bool whole = !pending_;
    pending_ = pending_ || pending_before;
    return whole;
  }
  void fetch() {
    blocks_.fetch();
    ++round_;
  }
  /// Counts the calls of `fetch`.
  std::uint32_t round() const noexcept { return round_; }
  /// Counts as something asked that could not be answered yet: the same was asked before in this round.
  void wait() noexcept { pending_ = true; }

  /// Follows a chain of Python frames; true at its end.
  bool advance(FrameWalk& walk);

  /// May an object be there: aligned, in private writable memory?
  bool plausible(Address object) const;

  /// The word at an address; none when it cannot be read, or not yet.
  std::optional<std::uint64_t> word(Address address);
  /// `count` words; empty like above.
  std::vector<std::uint64_t> words(Address address, std::size_t count);

  /// `tp_name` of the object's type: "gevent._gevent_c_waiter.Waiter"; empty when there is none, or not yet.
  /// Valid as long as the Heap.
  std::string_view type_name(Address object);

  /// The whole names of the object's class and of all that it derives from, in the order of its MRO:
  /// "eventlet.event.Event", "object". Empty when there are none, or not yet. Valid as long as the Heap.
  std::span<const std::string> classes(Address object);

  /// What a list, tuple, set or collections.deque holds, up to a limit; empty for other objects. A set's in
  /// no order, and with words among them that are none of its items.
  std::vector<Address> items(Address object);

  /// The value of an attribute of the instance itself, be it in its dict or in a slot that its class has for
  /// it
  /// (`__slots__`). None when it has none.
  std::optional<Address> attribute(Address object, std::string_view name);

  /// How many items a list, set or collections.deque has; none for other objects.
  std::optional<std::uint64_t> size(Address object);

  /// A method bound to an object, with its name in its class.
  struct BoundMethod {
    Address self = 0;
    std::string name;
  };
  std::optional<BoundMethod> bound_method(Address object);

  /// The name of what can be called, as python_callable() says it.
  std::string callable(Address object);

  /// An int that 64 bits are enough for; none for others.
  std::optional<std::int64_t> integer(Address object);

  /// A float; none for others.
  std::optional<double> real(Address object);

  /// The name of a code object's function, without its class; empty when there is none, or not yet. Valid as
  /// long as the Heap.
  std::string_view function_name(Address code);

  /// A str of ASCII characters; none for others.
  std::optional<std::string> ascii(Address string);

 private:
  /// What has been fetched, for readers that want a Memory; all else is unreadable, and makes it pending.
  class Fetched final : public Memory {
   public:
    explicit Fetched(Heap& heap) : heap_(heap) {}
    void read_batch(std::span<ReadRequest> requests) const override;

   private:
    Heap& heap_;
  };

  bool read(Address address, std::span<std::byte> into);
  std::string_view name_of_type(Address type);
  std::optional<std::string> text(Address address);
  std::optional<std::string> class_name(Address type);
  std::optional<Address> value_of(const Result<PythonDict>& dict, std::string_view name);
  std::optional<Address> slot(Address object, std::string_view name);
  std::optional<std::uint64_t> slot_offset(Address type, std::string_view name);
  std::vector<Address> bases(Address type);
  std::vector<Address> deque_items(Address deque, std::size_t count);
  std::vector<Address> set_items(Address set);
  std::vector<std::uint64_t> words_at_once(Address address, std::size_t count);

  PythonLayout layout_;
  BlockReader blocks_;
  bool pending_ = false;
  std::uint32_t round_ = 0;
  std::size_t links_left_ = 4096;  ///< how often a chain may still be followed without waiting for a round
  struct Range {
    Address start, end;
  };
  std::vector<Range> writable_;
  std::unordered_map<Address, std::string> type_names_;
  std::unordered_map<Address, std::vector<std::string>> classes_;
  std::unordered_map<Address, std::string> function_names_;         ///< by code object
  std::map<std::pair<Address, std::string>, std::uint64_t> slots_;  ///< by type and name; 0: it has none
};

}  // namespace coppice::inspect

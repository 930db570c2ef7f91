// A CPython made of plain bytes: one greenlet parked in three functions, two interpreters, three threads.
#pragma once

#include <string_view>
#include <vector>

#include "inspect/memory/fakes.hpp"
#include "inspect/python/python_frames.hpp"
#include "tests/snapshot/fake_target.hpp"

namespace coppice::inspect::testing {

/// Laid out as version 3.`minor` (8 to 15) with greenlet 3.0.3 or newer. The greenlet's stack, innermost
/// first:
///
///     inner       called by middle
///     middle      called by C: an entry
///     (a frame that has not begun; 3.11 and newer)
///     outer       called by C: an entry
///
/// `inner` has variables of every kind that python_repr() knows:
///
///     text = 'snake', data = b'\x00a', number = 3, truth = True, real = 0.5, nothing = None, pair = (3,),
///     many = [3, 'snake', <itself>], table = {'snake': 3}, other = <Other at 0x...>, cell = 3 (in a cell)
///
/// A thread has the same frames, as they are when nothing is exposed.
class FakePython {
 public:
  static constexpr Address runtime = 0x10000;
  static constexpr Address interpreters[] = {0x20000, 0x28000};
  static constexpr Address threads[] = {0x30000, 0x31000,
                                        0x32000};  ///< the last belongs to the second interpreter
  static constexpr Address type_objects = 0x40000;
  static constexpr Address codes = 0x100000;          ///< 0x1000 bytes for each and what hangs on it
  static constexpr Address frames = 0x200000;         ///< 0x200 bytes for each, inner frame first
  static constexpr Address frame_objects = 0x300000;  ///< likewise
  static constexpr Address thread_frames = 0x400000;  ///< likewise
  static constexpr Address objects = 0x500000;        ///< the variables of `inner`, 0x100 bytes for each
  static constexpr Address stack_start = 0x7f0000, stack_stop = 0x7f1000;
  static constexpr Address thread_stack = 0x7f8000;
  static constexpr std::size_t per_code = 0x1000, per_frame = 0x200;
  static constexpr pid_t first_tid = 4242;

  explicit FakePython(unsigned minor);
  FakePython(const FakePython& other);

  FakeMemory memory;
  FakeTarget target;
  PythonRuntime python;
  std::vector<std::byte> stack;  ///< of the greenlet, from stack_start on
  PythonPosition position;

  PythonRequest request() const;
  unsigned minor() const { return python.version.minor(); }

  Address code(std::size_t number) const { return codes + number * per_code; }
  Address frame(std::size_t number) const { return frames + number * per_frame; }

  /// A code object with 20 code units, of which the first two are not traceable; all its instructions are in
  /// `first_line` + 1. Where `wide`, the name is UCS-2 and the file UCS-4.
  void put_code(std::size_t number, std::u32string_view name, std::u32string_view file,
                std::int32_t first_line, bool wide = false);
  Address put_string(Address at, std::u32string_view text, unsigned width);

 private:
  struct Chain;
  void put_interpreters();
  void put_frame_objects(Address at);
  void put_frames(const Chain& chain);
  void put_objects();
  void put_variables(Address slots);
  Address put_object(std::size_t number, Address type, std::initializer_list<std::uint64_t> words);
  void put_word(Address at, std::uint64_t value);
};

}  // namespace coppice::inspect::testing

// A process with the greenlet extension, made of plain bytes: an ELF module with exported symbols and code,
// type objects, greenlets, a thread's stack.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "inspect/greenlets/cpython_layout.hpp"
#include "inspect/greenlets/cpython_layout_table.hpp"
#include "tests/snapshot/fake_target.hpp"

namespace coppice::inspect::testing {

/// What a test says of one greenlet. Addresses are made up by the fake.
struct FakePyGreenlet {
  bool main = false;
  bool derived = false;  ///< of a type that is derived from greenlet
  int thread = 0;        ///< of which main greenlet, by number; -1: none yet
  int parent = -1;       ///< by number
  Address start = 0, stop = 0;
  std::uint64_t saved = 0;
  bool top_frame = true;
};

/// The layout it has.
struct FakeBuild {
  const KnownLayout* known = nullptr;  ///< null: greenlet 1.x
  unsigned python_minor = 11;          ///< of a flat one: decides its size
  bool frame_pointers = false;         ///< slp_switch() keeps its registers by rbp
};

/// Greenlet n has its PyGreenlet at object(n) and its C++ object at pimpl(n). One thread, tid 4242, whose
/// stack is [stack_low, stack_high), sleeping at thread_sp; word i of the stack is 0xee00 + i, the saved
/// bytes of greenlet n are n + 1.
class FakeCpython {
 public:
  static constexpr Address module_start = 0x400000, text = 0x401000, text_end = 0x401300, data = 0x402000,
                           module_end = 0x403000;
  static constexpr Address slp_switch = text + 0x100, resume_pc = slp_switch + 0x4c;
  static constexpr Address type = data + 0x100, derived_type = data + 0x300, metatype = data + 0x500;
  static constexpr Address user_vtable = data + 0x800, main_vtable = data + 0x840,
                           broken_vtable = data + 0x880;
  static constexpr Address names = data + 0x900;
  static constexpr Address heap = 0x600000, heap_end = 0x603000;
  static constexpr Address stack_low = 0x7f0000, stack_high = 0x7f4000, thread_sp = 0x7f1000;
  static constexpr pid_t tid = 4242;

  FakeCpython(const FakeBuild& build, const std::vector<FakePyGreenlet>& greenlets);
  FakeCpython(const FakeCpython& other);

  FakeMemory memory;
  FakeTarget target;
  FakeBuild build;

  bool flat() const { return build.known == nullptr; }
  /// Where the fields are.
  Address pimpl(std::size_t number) const { return flat() ? object(number) : heap + 0x800 + number * 0xe0; }
  Address object(std::size_t number) const { return heap + 0x110 + number * 0x80; }
  Address copy(std::size_t number) const { return heap + 0x1500 + number * 0x300; }
  Address thread_state(std::size_t number) const { return heap + 0x1100 + number * 0x20; }
  Address frame_object(std::size_t number) const { return heap + 0x1280 + number * 0x40; }
  Address frame(std::size_t number) const { return 0x9000000 + number * 0x100; }
  std::string id(std::size_t number) const;
  std::uint16_t start_offset() const { return flat() ? 0x10 : build.known->start; }

  void put(Address at, std::uint64_t word) { memory.put_value(at, word); }
  /// Which greenlet runs on the thread of main greenlet `main`.
  void run(std::size_t main, std::size_t number) { put(thread_state(main) + 8, object(number)); }

 private:
  void put_module();
  void put_types();
  void put_code();
  void put_greenlet(std::size_t number, const FakePyGreenlet& greenlet);
};

/// 0 main, switched away from, partly saved; 1 runs; 2 saved whole; 3 nothing saved, of a derived type; 4
/// unstarted; 5 finished; 6 orphaned; 7 the main greenlet of 6's thread, which has exited.
std::vector<FakePyGreenlet> one_of_each_kind();

}  // namespace coppice::inspect::testing

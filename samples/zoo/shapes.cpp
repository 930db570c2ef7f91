#include "samples/zoo/shapes.hpp"

namespace coppice::zoo {

std::span<const Shape> shapes() {
  static constexpr Shape all[] = {
      {"rsp_based", "frame found from the stack pointer", zoo_rsp_based, 20},
      {"rbp_based", "frame found from the frame pointer", zoo_rbp_based, 20},
      {"realigned", "stack realigned to 64 bytes, with alloca", zoo_realigned, 20},
      {"alloca", "size known only at run time, by alloca", zoo_alloca, 20},
      {"vla", "size known only at run time, by a C variable-length array", enter_vla, 20},
      {"frame_64k", "frame of more than 64 KB", zoo_frame_64k, 1},
      {"frame_1m", "frame of more than 1 MB", zoo_frame_1m, 0},
      {"cold_part", "parked in the part of a function that the compiler moved away", zoo_cold_part, 20},
      {"noreturn_call", "the last instruction is a call that never returns", enter_noreturn_call, 15},
      {"catch_handler", "inside a catch block", zoo_catch_handler, 15},
      {"unwinding_destructor", "in a destructor, while an exception unwinds", zoo_unwinding_destructor, 10},
      {"qsort_callback", "called back by qsort", zoo_qsort_callback, 15},
      {"std_function", "called through std::function", zoo_std_function, 20},
      {"signal_handler", "in a handler of a signal it raised", zoo_signal_handler, 5},
      {"fault_handler", "in a handler of a fault, between two instructions", zoo_fault_handler, 5},
      {"deep_recursion", "hundreds of frames deep", zoo_deep_recursion, 1},
      {"inlined_tail", "three functions inlined into one frame", zoo_inlined_tail, 20},
  };
  return all;
}

}  // namespace coppice::zoo

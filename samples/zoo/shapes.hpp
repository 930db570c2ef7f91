// The frame shapes of the zoo: one function each, named zoo_<name>, so that its CFI and disassembly can be
// looked up.
#pragma once

#include <span>
#include <string_view>

#include "samples/zoo/step.hpp"

namespace coppice::zoo {

/// One shape.
struct Shape {
  const char* name;           ///< the function that has the shape is called zoo_<name>
  const char* what;           ///< a line for people
  void (*enter)(Step& next);  ///< runs `next` inside a frame of this shape
  unsigned share;             ///< how often the forest picks it, relative to the others
};

/// All shapes, in a fixed order.
std::span<const Shape> shapes();

}  // namespace coppice::zoo

// C linkage gives the functions one plain symbol name with every compiler.
extern "C" {
void zoo_rsp_based(coppice::zoo::Step& next);
void zoo_rbp_based(coppice::zoo::Step& next);
void zoo_realigned(coppice::zoo::Step& next);
void zoo_alloca(coppice::zoo::Step& next);
void zoo_frame_64k(coppice::zoo::Step& next);
void zoo_frame_1m(coppice::zoo::Step& next);
void zoo_cold_part(coppice::zoo::Step& next);
void zoo_catch_handler(coppice::zoo::Step& next);
void zoo_unwinding_destructor(coppice::zoo::Step& next);
void zoo_qsort_callback(coppice::zoo::Step& next);
void zoo_std_function(coppice::zoo::Step& next);
void zoo_signal_handler(coppice::zoo::Step& next);
void zoo_fault_handler(coppice::zoo::Step& next);
void zoo_deep_recursion(coppice::zoo::Step& next);
void zoo_inlined_tail(coppice::zoo::Step& next);
}

namespace coppice::zoo {
// These need a function around the one that has the shape.
void enter_vla(Step& next);            ///< zoo_vla is C
void enter_noreturn_call(Step& next);  ///< catches what zoo_noreturn_call throws instead of returning
}  // namespace coppice::zoo

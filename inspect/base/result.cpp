#include "inspect/base/result.hpp"

namespace coppice::inspect {

const char* name(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::unreadable:
      return "unreadable";
    case ErrorCode::gone:
      return "gone";
    case ErrorCode::no_such_process:
      return "no_such_process";
    case ErrorCode::not_permitted:
      return "not_permitted";
    case ErrorCode::not_a_core:
      return "not_a_core";
    case ErrorCode::truncated:
      return "truncated";
    case ErrorCode::wrong_executable:
      return "wrong_executable";
    case ErrorCode::no_file:
      return "no_file";
    case ErrorCode::no_unwind_info:
      return "no_unwind_info";
    case ErrorCode::bad_unwind_info:
      return "bad_unwind_info";
    case ErrorCode::inexpressible:
      return "inexpressible";
    case ErrorCode::moved_backwards:
      return "moved_backwards";
    case ErrorCode::off_stack:
      return "off_stack";
    case ErrorCode::too_deep:
      return "too_deep";
    case ErrorCode::torn:
      return "torn";
    case ErrorCode::corrupt:
      return "corrupt";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::not_stopped:
      return "not_stopped";
    case ErrorCode::io:
      return "io";
    case ErrorCode::bad_argument:
      return "bad_argument";
  }
  return "unknown";
}

}  // namespace coppice::inspect

// What AddressSanitizer and ThreadSanitizer must be told about switches. Nothing in ordinary builds.
//
// AddressSanitizer keeps a shadow of the stack, in which each frame marks the gaps between its variables. The
// shadow does not travel with the slice: where frames are exchanged, all marks are wiped. So overruns are
// found in frames that were entered since the last switch, not in those that slept. Its fake stack must be
// off (ASAN_OPTIONS=detect_stack_use_after_return=0; gcc's default): frames on it are freed when an exception
// is thrown elsewhere. ThreadSanitizer sees every greenlet as a fiber, and a switch as synchronisation
// between two of them.
//
// switch.cpp itself is built without instrumentation, as it runs while neither picture is true.
#pragma once

#include <cstdint>

#if defined(COPPICE_SANITIZE_ADDRESS)
#include <sanitizer/asan_interface.h>
#elif defined(COPPICE_SANITIZE_THREAD)
#include <sanitizer/tsan_interface.h>
#endif

namespace coppice::internal {

/// The frames in [low, high) of the stack are about to be replaced by others.
inline void wipe_redzones([[maybe_unused]] std::uintptr_t low,
                          [[maybe_unused]] std::uintptr_t high) noexcept {
#if defined(COPPICE_SANITIZE_ADDRESS)
  __asan_unpoison_memory_region(reinterpret_cast<void*>(low), high - low);
#endif
}

/// A greenlet as ThreadSanitizer sees it.
class Fiber {
 public:
#if defined(COPPICE_SANITIZE_THREAD)
  void adopt_current() noexcept { fiber_ = __tsan_get_current_fiber(); }
  void create() noexcept { fiber_ = __tsan_create_fiber(0); }
  void enter() const noexcept { __tsan_switch_to_fiber(fiber_, 0); }
  void destroy() noexcept {
    if (fiber_ != nullptr) __tsan_destroy_fiber(fiber_);
    fiber_ = nullptr;
  }
  void forget() noexcept { fiber_ = nullptr; }  ///< a main greenlet's is its thread's

 private:
  void* fiber_ = nullptr;
#else
  void adopt_current() noexcept {}
  void create() noexcept {}
  void enter() const noexcept {}
  void destroy() noexcept {}
  void forget() noexcept {}
#endif
};

}  // namespace coppice::internal

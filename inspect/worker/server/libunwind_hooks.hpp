// What the private LLVM libunwind asks instead of the process it runs in (cmake/PrivateLibunwind.cmake).
#pragma once

#include <csetjmp>
#include <cstdint>

namespace coppice::inspect::worker {

/// The one FDE libunwind is to find, presented as a program with a one-entry .eh_frame_hdr. With that no
/// search of its own is left to it: any pc outside [start, end) has no unwind information.
struct OnlyFde {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::uint64_t fde = 0;
};
void present(const OnlyFde& fde) noexcept;

/// Runs `step`; false when libunwind gave up on malformed CFI by abort() or assert(). Such an end is a jump
/// out of libunwind, which holds neither locks nor memory while it reads CFI.
template <class Step>
bool without_abort(Step step) noexcept;

namespace detail {
extern std::jmp_buf on_abort;
}

template <class Step>
bool without_abort(Step step) noexcept {
  if (setjmp(detail::on_abort) != 0) return false;  // NOLINT(modernize-avoid-setjmp-longjmp)
  step();
  return true;
}

}  // namespace coppice::inspect::worker

#include "tests/unwind/capture.hpp"

#include <pthread.h>
#include <ucontext.h>
#include <unwind.h>

#include <array>
#include <utility>

namespace coppice::inspect::testing {
namespace {

// DWARF number of a register and its index in gregset_t.
constexpr std::array<std::pair<unsigned, int>, 17> greg_of{{{x86_64::rax, REG_RAX},
                                                            {x86_64::rdx, REG_RDX},
                                                            {x86_64::rcx, REG_RCX},
                                                            {x86_64::rbx, REG_RBX},
                                                            {x86_64::rsi, REG_RSI},
                                                            {x86_64::rdi, REG_RDI},
                                                            {x86_64::rbp, REG_RBP},
                                                            {x86_64::rsp, REG_RSP},
                                                            {x86_64::r8, REG_R8},
                                                            {x86_64::r9, REG_R9},
                                                            {x86_64::r10, REG_R10},
                                                            {x86_64::r11, REG_R11},
                                                            {x86_64::r12, REG_R12},
                                                            {x86_64::r13, REG_R13},
                                                            {x86_64::r14, REG_R14},
                                                            {x86_64::r15, REG_R15},
                                                            {x86_64::rip, REG_RIP}}};

Registers registers_of(const ucontext_t& context) {
  Registers registers;
  for (const auto& [number, index] : greg_of) {
    registers.set(number, static_cast<std::uint64_t>(context.uc_mcontext.gregs[index]));
  }
  return registers;
}

std::vector<ExpectedFrame> backtrace_by_libgcc() {
  std::vector<ExpectedFrame> frames;
  _Unwind_Backtrace(
      [](_Unwind_Context* context, void* data) {
        int before_instruction = 0;
        const Address pc = _Unwind_GetIPInfo(context, &before_instruction);
        // libgcc calls "CFA" the one of the frame below: this frame's sp.
        static_cast<std::vector<ExpectedFrame>*>(data)->push_back(
            {pc, _Unwind_GetCFA(context), before_instruction != 0});
        return _URC_NO_REASON;
      },
      &frames);
  // After the outermost frame it reports one more, without a pc.
  if (!frames.empty() && frames.back().pc == 0) frames.pop_back();
  return frames;
}

// Not sanitized, since it copies redzones of other frames too. (As an attribute that both compilers know.)
__attribute__((no_sanitize("address"))) void copy_stack(Capture& capture) {
  // With the red zone: in an epilogue CFI still refers to slots that were just popped.
  constexpr std::uint64_t red_zone = 128;
  capture.stack_start = capture.registers.sp() - red_zone;
  capture.stack_stop = stack_end();
  const auto* from = reinterpret_cast<const std::byte*>(capture.stack_start);
  capture.stack.resize(capture.stack_stop - capture.stack_start);
  for (std::size_t i = 0; i < capture.stack.size(); ++i) capture.stack[i] = from[i];
}

}  // namespace

WalkRequest Capture::request() const {
  WalkRequest request;
  request.registers = registers;
  request.exact_pc = exact_pc;
  request.stack = stack;
  request.stack_start = stack_start;
  request.stack_stop = stack_stop;
  return request;
}

std::vector<Capture>& captures() {
  static std::vector<Capture> all;
  return all;
}

Address stack_end() {
  pthread_attr_t attributes;
  void* low = nullptr;
  std::size_t size = 0;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
  pthread_attr_getstack(&attributes, &low, &size);
  pthread_attr_destroy(&attributes);
  return reinterpret_cast<Address>(low) + size;
}

[[gnu::noinline]] void capture_here(const char* shape) {
  Capture capture;
  capture.shape = shape;
  ucontext_t context;
  getcontext(&context);
  capture.registers = registers_of(context);
  copy_stack(capture);
  capture.expected = backtrace_by_libgcc();
  // Frame 0 stands at getcontext here and at _Unwind_Backtrace's call in a lambda there: only its callers
  // compare.
  while (!capture.expected.empty() && capture.expected.front().sp <= capture.registers.sp()) {
    capture.expected.erase(capture.expected.begin());
  }
  capture.expected.insert(capture.expected.begin(), {capture.registers.pc(), capture.registers.sp(), true});
  captures().push_back(std::move(capture));
}

void capture_interrupted(const char* shape, const void* ucontext) {
  Capture capture;
  capture.shape = shape;
  capture.registers = registers_of(*static_cast<const ucontext_t*>(ucontext));
  copy_stack(capture);
  capture.expected = backtrace_by_libgcc();
  while (!capture.expected.empty() && !(capture.expected.front().pc == capture.registers.pc() &&
                                        capture.expected.front().sp == capture.registers.sp())) {
    capture.expected.erase(capture.expected.begin());
  }
  captures().push_back(std::move(capture));
}

}  // namespace coppice::inspect::testing

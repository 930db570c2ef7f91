#include "samples/zoo/park.hpp"

#include <link.h>
#include <unistd.h>
#include <unwind.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>

#include "coppice/debug_abi.h"

namespace coppice::zoo {

namespace {

/// The records of all threads by greenlet id; the newest of each greenlet counts.
struct Ledger {
  std::mutex mutex;
  std::map<std::uint64_t, Record> records;
};

Ledger& ledger() {
  static auto* const ledger = new Ledger;  // greenlets may outlive static destruction
  return *ledger;
}

/// How a greenlet leaves once it has recorded.
struct Departure {
  const Greenlet* target;  ///< null: call block
  void (*block)(void*);
  void* argument;
  std::uintptr_t site;  ///< where the recorder was called from
};

_Unwind_Reason_Code record_frame(_Unwind_Context* context, void* argument) {
  int before_instruction = 0;
  RecordedFrame frame;
  frame.pc = _Unwind_GetIPInfo(context, &before_instruction);
  frame.sp = _Unwind_GetCFA(context);
  frame.exact = before_instruction != 0;
  // After a frame whose caller is undefined libgcc reports one more, with pc 0.
  if (frame.pc != 0) static_cast<std::vector<RecordedFrame>*>(argument)->push_back(frame);
  return _URC_NO_REASON;
}

[[gnu::noinline]] void record_stack(Departure& departure) {
  departure.site = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  Record record;
  record.frames.reserve(32);
  _Unwind_Backtrace(record_frame, &record.frames);
  record.frames.erase(record.frames.begin());  // this function's own
  const Greenlet self = current();
  record.id = self.id();
  record.tid = ::gettid();
  record.name = self.name();
  record.state = departure.target != nullptr ? "suspended" : "running";
  const std::lock_guard lock(ledger().mutex);
  ledger().records[record.id] = std::move(record);
}

[[gnu::noinline]] void switch_away(Departure& departure) {
  const auto site = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  if (site != departure.site) {
    std::fprintf(stderr, "coppice-zoo: the compiler made two calls of one in zoo_park\n");
    std::abort();
  }
  if (departure.target != nullptr) {
    departure.target->switch_to();
  } else {
    departure.block(departure.argument);
  }
}

int load_bias(dl_phdr_info* info, std::size_t, void* bias) {
  *static_cast<std::uintptr_t*>(bias) = info->dlpi_addr;
  return 1;  // the executable comes first
}

}  // namespace

extern "C" [[gnu::noinline]] void zoo_park(Departure& departure) {
  void (*calls[])(Departure&) = {record_stack, switch_away};
  void (**call)(Departure&) = calls;
  std::size_t count = std::size(calls);
  asm volatile(""
               : "+r"(call), "+r"(count)
               :
               : "memory");  // a loop of unknown length is not unrolled into two calls
  for (std::size_t i = 0; i < count; ++i) call[i](departure);
}

void park_switching_to(const Greenlet& target) {
  Departure departure{&target, nullptr, nullptr, 0};
  zoo_park(departure);
}

void park_blocking(void (*block)(void*), void* argument) {
  Departure departure{nullptr, block, argument, 0};
  zoo_park(departure);
}

void note_without_stack(const Greenlet& greenlet, const char* state) {
  Record record;
  record.id = greenlet.id();
  record.tid = ::gettid();
  record.name = greenlet.name();
  record.state = state;
  const std::lock_guard lock(ledger().mutex);
  ledger().records[record.id] = std::move(record);
}

bool announce(int fd) {
  const std::unique_ptr<FILE, int (*)(FILE*)> out(::fdopen(fd, "w"), std::fclose);
  if (!out) return false;
  std::uintptr_t bias = 0;
  dl_iterate_phdr(load_bias, &bias);
  std::fprintf(out.get(), "coppice-zoo 1 %d %" PRIxPTR " %" PRIx64 "\n", ::getpid(), bias,
               coppice_debug_table.resume_pc);
  const std::lock_guard lock(ledger().mutex);
  for (const auto& [id, record] : ledger().records) {
    std::fprintf(out.get(), "greenlet %" PRIu64 " %d %s %s", id, record.tid, record.state,
                 record.name.empty() ? "-" : record.name.c_str());
    for (const RecordedFrame& frame : record.frames) {
      std::fprintf(out.get(), " %" PRIxPTR ":%" PRIxPTR "%s", frame.pc, frame.sp,
                   frame.exact ? ":exact" : "");
    }
    std::fputc('\n', out.get());
  }
  std::fprintf(out.get(), "end %zu\n", ledger().records.size());
  return std::fflush(out.get()) == 0 && std::ferror(out.get()) == 0;
}

}  // namespace coppice::zoo

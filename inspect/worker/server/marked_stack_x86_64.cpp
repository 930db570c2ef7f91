#include "inspect/worker/server/marked_stack_x86_64.hpp"

#include <signal.h>
#include <sys/mman.h>

#include <csignal>
#include <cstddef>
#include <optional>
#include <stdexcept>

namespace coppice::inspect::worker {
namespace {

constexpr std::uint64_t page = 4096;
constexpr std::uint64_t word = 8;
constexpr std::uint64_t first_window = std::uint64_t{32} << 20;  // bytes a register
constexpr std::uint64_t first_size = MarkedStack::registers * first_window;
constexpr std::uint64_t second_window = 2048;  // bytes a word of a first window
constexpr std::uint64_t second_size = first_size / word * second_window;
// Words of second windows: no addresses (not canonical), so reading through them ends the worker.
constexpr std::uint64_t second_mark = std::uint64_t{1} << 62;

// Set once, read by the signal handler.
std::uint64_t first = 0;
std::uint64_t second = 0;
volatile sig_atomic_t filled_pages = 0;

std::uint64_t content(std::uint64_t address) {
  if (address - first < first_size) {
    return second + (address - first) / word * second_window + second_window / 2;
  }
  return second_mark + (address - second);
}

void fill_page(int, siginfo_t* info, void*) {
  const auto address = reinterpret_cast<std::uint64_t>(info->si_addr) & ~(page - 1);
  const bool ours = info->si_code > 0 && (address - first < first_size || address - second < second_size);
  if (!ours || ::mprotect(reinterpret_cast<void*>(address), page, PROT_READ | PROT_WRITE) != 0) {
    ::signal(SIGSEGV, SIG_DFL);  // the access is tried again and ends the worker
    return;
  }
  auto* words = reinterpret_cast<std::uint64_t*>(address);
  for (std::uint64_t i = 0; i < page / word; ++i) words[i] = content(address + i * word);
  filled_pages = filled_pages + 1;
}

// Different for every register and probe, and 8 modulo 16 in the second, so that CFI which aligns shows as a
// disagreement.
std::uint64_t shift(unsigned register_number, unsigned probe) {
  return probe == 0 ? 0 : 0x10a8 + register_number * std::uint64_t{0x2010};
}

std::uint64_t reserve(std::uint64_t size) {
  void* at = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) throw std::runtime_error("no address space for the marked stack");
  return reinterpret_cast<std::uint64_t>(at);
}

}  // namespace

MarkedStack::MarkedStack() {
  first = reserve(first_size);
  second = reserve(second_size);
  // Hostile CFI can exhaust the stack, so the handler has its own.
  constexpr std::size_t stack_size = std::size_t{64} << 10;
  stack_t stack{};
  stack.ss_sp = ::mmap(nullptr, stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack.ss_size = stack_size;
  struct sigaction action{};
  action.sa_sigaction = fill_page;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  if (stack.ss_sp == MAP_FAILED || ::sigaltstack(&stack, nullptr) != 0 ||
      ::sigaction(SIGSEGV, &action, nullptr) != 0) {
    throw std::runtime_error("no signal handler for the marked stack");
  }
}

std::uint64_t MarkedStack::value(unsigned register_number, unsigned probe) const noexcept {
  return first + register_number * first_window + first_window / 2 + shift(register_number, probe);
}

Meaning MarkedStack::decode(std::uint64_t value, unsigned probe) const noexcept {
  auto register_plus = [&](std::uint64_t address) {
    const auto number = static_cast<unsigned>((address - first) / first_window);
    return RegisterPlus{number, static_cast<std::int64_t>(address - this->value(number, probe))};
  };
  auto word_plus = [&](std::uint64_t address) {
    const std::uint64_t index = (address - second) / second_window;
    const std::uint64_t within = (address - second) % second_window;
    return WordPlus{register_plus(first + index * word),
                    static_cast<std::int64_t>(within) - static_cast<std::int64_t>(second_window / 2)};
  };
  if (value == 0) return Nothing{};
  if (value - first < first_size) return register_plus(value);
  if (value - second < second_size) return word_plus(value);
  if (value - second_mark < second_size) return WordBehind{word_plus(second + (value - second_mark))};
  return Unmarked{};
}

void MarkedStack::trim() noexcept {
  constexpr int enough_pages = 2048;
  if (filled_pages < enough_pages) return;
  filled_pages = 0;
  for (const auto& [start, size] : {std::pair{first, first_size}, std::pair{second, second_size}}) {
    ::madvise(reinterpret_cast<void*>(start), size, MADV_DONTNEED);
    ::mprotect(reinterpret_cast<void*>(start), size, PROT_NONE);
  }
}

}  // namespace coppice::inspect::worker

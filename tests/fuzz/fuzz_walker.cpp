// The Walker on slices from nowhere, by a fixed set of rules of every form and by rules from nowhere:
// whatever it reads, it reads inside its slice, and its walk keeps the promises of walker.hpp.
//
// Input: one byte of flags, registers, an optional rule, then the slice: either raw, or one word for every
// two bytes, so that return addresses with rules and pointers into the slice are easy to hit upon.
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "inspect/unwind/walker.hpp"
#include "tests/fuzz/input.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

namespace {

constexpr Address stack_start = 0x10000;
constexpr std::size_t max_frames = 200;
constexpr Address known_pcs = 256;  // pcs 1 ... 255 have rules

Place saved(Place::Kind kind, int n) {
  return {kind, n};
}

// Rules as compilers, the kernel and hand-written code need them; the pc decides which one applies.
std::vector<Rule> fixed_rules() {
  using enum Place::Kind;
  std::vector<Rule> rules;
  auto add = [&](Rule::Cfa cfa, unsigned from, int slot, int offset) -> Rule& {
    Rule rule;
    rule.status = Rule::Status::usable;
    rule.cfa = cfa;
    rule.cfa_register = static_cast<std::uint8_t>(from);
    rule.slot = slot;
    rule.offset = offset;
    rule.place(machine::ra, saved(at_cfa, -1));
    rules.push_back(rule);
    return rules.back();
  };
  for (int size : {8, 16, 24, 48, 128, 4096, 100'000, 0, -8}) {
    Rule& rule = add(Rule::Cfa::register_plus, machine::sp, 0, size);
    if (size > 16) rule.place(x86_64::rbp, saved(at_cfa, -2));
    if (size > 24) rule.place(x86_64::rbx, saved(at_cfa, -3));
  }
  Rule& framed = add(Rule::Cfa::register_plus, x86_64::rbp, 0, 16);
  framed.place(x86_64::rbp, saved(at_cfa, -2));
  Rule& realigned = add(Rule::Cfa::memory_plus, x86_64::rbp, -8, 0);
  realigned.base_register = x86_64::rbp;
  realigned.place(x86_64::rbp, saved(at_base, 0));
  realigned.place(x86_64::rbx, saved(at_base, -5));
  Rule& interrupted = add(Rule::Cfa::memory_plus, machine::sp, 160, 0);
  interrupted.signal_frame = 1;
  interrupted.base_register = machine::sp;
  for (unsigned i = 0; i < machine::register_count; ++i) {
    if (i != machine::sp) interrupted.place(i, saved(at_base, 5 + static_cast<int>(i)));
  }
  Rule& registers = add(Rule::Cfa::register_plus, x86_64::r10, 0, 0);
  registers.place(machine::ra, saved(in_register, x86_64::rdi));
  registers.place(x86_64::r12, saved(cfa_plus, 3));
  add(Rule::Cfa::register_plus, machine::sp, 0, 8).place(machine::ra, saved(undefined, 0));
  for (auto status : {Rule::Status::no_unwind_info, Rule::Status::crashed, Rule::Status::inexpressible}) {
    Rule rule;
    rule.status = status;
    rules.push_back(rule);
  }
  return rules;
}

const Rule& fixed_rule(const PcKey& key) {
  static const std::vector<Rule> rules = fixed_rules();
  return rules[(key.pc + (key.exact ? 1 : 0)) % rules.size()];
}

RuleCache make_cache() {
  RuleCache cache;
  for (Address pc = 1; pc < known_pcs; ++pc) {
    for (const bool exact : {false, true}) {
      check(is_sound(fixed_rule({pc, exact})));
      cache.add({pc, exact}, nullptr, fixed_rule({pc, exact}));
    }
  }
  return cache;
}

/// Two bytes to a word: a pc with a rule, an address in the slice, or a small number.
std::uint64_t take_word(Input& input) {
  const auto code = input.take<std::uint16_t>();
  if (code < 0x4000) return code % known_pcs;
  if (code < 0xc000) return stack_start + (code - 0x4000U) % 0x2000U * 8;
  return code;
}

void check_promises(const WalkRequest& request, const Walker& walker, const std::vector<RawFrame>& frames) {
  check(walker.end() != End::unwalked);
  check((walker.end() == End::base) == !walker.error().has_value());
  check(frames.size() <= max_frames);
  for (std::size_t i = 1; i < frames.size(); ++i) {
    check(frames[i].exact == frames[i - 1].signal_trampoline);
    check(frames[i].sp == frames[i - 1].cfa);
    check(frames[i].sp > frames[i - 1].sp || frames[i].exact);
    check(frames[i].sp <= request.stack_stop);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static RuleCache cache = make_cache();
  Input input({data, size});
  const auto flags = input.take<std::uint8_t>();
  const auto known = input.take<std::uint32_t>();
  WalkRequest request;
  for (unsigned i = 0; i < machine::register_count; ++i) {
    if ((known >> i & 1) != 0) request.registers.set(i, take_word(input));
  }
  request.registers.set(machine::ra, take_word(input));
  request.registers.set(machine::sp, stack_start + input.take<std::uint16_t>() % 512);
  request.exact_pc = (flags & 1) != 0;
  request.stack_start = (flags & 8) != 0 ? ~Address{0} - input.take<std::uint16_t>() : stack_start;
  const PcKey first{request.registers.pc(), request.exact_pc};
  const std::int64_t beyond = input.take<std::int16_t>();
  if ((flags & 4) != 0) {
    // A rule as a worker gone mad would send it: refused, or safe to walk by.
    Rule rule = input.take<Rule>();
    rule.status = Rule::Status::usable;
    if (is_sound(rule)) cache.add(first, nullptr, rule);
  }
  std::vector<std::byte> slice;
  if ((flags & 2) != 0) {
    const auto raw = std::as_bytes(input.rest());
    slice.assign(raw.begin(), raw.end());
  } else {
    while (!input.empty()) {
      const std::uint64_t word = take_word(input);
      const auto bytes = std::as_bytes(std::span(&word, 1));
      slice.insert(slice.end(), bytes.begin(), bytes.end());
    }
  }
  slice.shrink_to_fit();
  request.stack = slice;
  request.stack_stop = request.stack_start + slice.size() + static_cast<std::uint64_t>(beyond);

  Walker walker(request, max_frames);
  std::vector<RawFrame> frames;
  while (const auto missing = walker.advance(cache, frames)) {
    check(!frames.empty() && frames.back().pc == missing->pc);
    if ((flags & 16) != 0)
      walker.abandon({ErrorCode::io, missing->pc, "no worker"});
    else
      cache.add(*missing, nullptr, Rule{});
  }
  check_promises(request, walker, frames);
  cache.add(first, nullptr, first.pc < known_pcs ? fixed_rule(first) : Rule{});
  constexpr std::size_t enough = 10'000;
  if (cache.pcs() > enough || cache.distinct_rules() > enough) cache = make_cache();
  return 0;
}

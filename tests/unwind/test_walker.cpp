// The Walker by itself: rules and slices made by hand, every way a walk can end.
#include <cstring>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "inspect/unwind/walker.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::inspect;

namespace {

constexpr Address stack_start = 0x7000'0000;

// A slice of `words` words, all zero, with registers that stand at its beginning.
class Slice {
 public:
  explicit Slice(std::size_t words) : words_(words) {
    registers_.set(machine::sp, stack_start);
    stop_ = stack_start + words * 8;
  }
  Slice& put(std::size_t index, std::uint64_t value) {
    words_[index] = value;
    return *this;
  }
  Slice& with(unsigned number, std::uint64_t value) {
    registers_.set(number, value);
    return *this;
  }
  Slice& stop_at(Address stop) {
    stop_ = stop;
    return *this;
  }
  WalkRequest request(Address pc, bool exact = false) {
    registers_.set(machine::ra, pc);
    WalkRequest request;
    request.registers = registers_;
    request.exact_pc = exact;
    request.stack = std::as_bytes(std::span(words_));
    request.stack_start = stack_start;
    request.stack_stop = stop_;
    return request;
  }

 private:
  std::vector<std::uint64_t> words_;
  Registers registers_;
  Address stop_;
};

Rule frame_of(unsigned from, int offset) {
  Rule rule;
  rule.status = Rule::Status::usable;
  rule.cfa_register = static_cast<std::uint8_t>(from);
  rule.offset = offset;
  rule.place(machine::ra, Place(Place::Kind::at_cfa, -1));
  return rule;
}

Rule outermost() {
  Rule rule = frame_of(machine::sp, 8);
  rule.place(machine::ra, Place(Place::Kind::undefined, 0));
  return rule;
}

// rt_sigframe as glibc's __restore_rt describes it: everything at sp + 8n.
Rule trampoline() {
  Rule rule;
  rule.status = Rule::Status::usable;
  rule.cfa = Rule::Cfa::memory_plus;
  rule.cfa_register = machine::sp;
  rule.slot = 160;
  rule.signal_frame = 1;
  rule.base_register = machine::sp;
  rule.place(x86_64::rbp, Place(Place::Kind::at_base, 15));
  rule.place(x86_64::r10, Place(Place::Kind::at_base, 7));
  rule.place(machine::ra, Place(Place::Kind::at_base, 21));
  return rule;
}

struct Outcome {
  std::vector<RawFrame> frames;
  End end = End::unwalked;
  std::optional<Error> error;
  std::optional<PcKey> missing;
};

Outcome walk(const WalkRequest& request, const RuleCache& rules, std::size_t max_frames = 100) {
  Outcome outcome;
  Walker walker(request, max_frames);
  outcome.missing = walker.advance(rules, outcome.frames);
  outcome.end = walker.end();
  outcome.error = walker.error();
  return outcome;
}

void add(RuleCache& rules, Address pc, const Rule& rule, bool exact = false) {
  REQUIRE(is_sound(rule));
  rules.add({pc, exact}, nullptr, rule);
}

}  // namespace

TEST_CASE("frames follow each other by their rules until the outermost") {
  RuleCache rules;
  Rule with_rbp = frame_of(machine::sp, 24);
  with_rbp.place(x86_64::rbp, Place(Place::Kind::at_cfa, -2));
  add(rules, 1, with_rbp);
  add(rules, 2, frame_of(x86_64::rbp, 16));
  add(rules, 3, outermost());
  Slice slice(10);
  slice.put(1, stack_start + 5 * 8).put(2, 2).put(6, 3);
  const Outcome got = walk(slice.request(1), rules);
  CHECK(got.end == End::base);
  CHECK_FALSE(got.error);
  REQUIRE(got.frames.size() == 3);
  CHECK(got.frames[0].pc == 1);
  CHECK(got.frames[0].cfa == stack_start + 24);
  CHECK(got.frames[1].pc == 2);
  CHECK(got.frames[1].sp == stack_start + 24);
  CHECK(got.frames[1].cfa == stack_start + 56);
  CHECK(got.frames[2].pc == 3);
}

TEST_CASE("a walk pauses at an unknown pc and goes on when its rule is there") {
  RuleCache rules;
  add(rules, 1, frame_of(machine::sp, 8));
  Slice slice(4);
  slice.put(0, 2);
  const WalkRequest request = slice.request(1);
  Walker walker(request, 100);
  std::vector<RawFrame> frames;
  auto missing = walker.advance(rules, frames);
  REQUIRE(missing);
  CHECK(*missing == PcKey{2, false});
  CHECK(walker.end() == End::unwalked);
  CHECK(frames.size() == 2);
  add(rules, 2, outermost());
  CHECK_FALSE(walker.advance(rules, frames));
  CHECK(walker.end() == End::base);
  CHECK(frames.size() == 2);
  CHECK_FALSE(walker.advance(rules, frames));
  CHECK(frames.size() == 2);
}

TEST_CASE("a CFA at stop is the base; a frame that reaches over it and a zero return address are not") {
  RuleCache rules;
  add(rules, 1, frame_of(machine::sp, 32));
  Slice slice(4);
  slice.put(3, 99);
  CHECK(walk(slice.request(1), rules).end == End::base);
  CHECK(walk(slice.request(1), rules).frames.size() == 1);

  // The words at and above stop are there, and yet not read.
  slice.stop_at(stack_start + 16);
  const Outcome straddling = walk(slice.request(1), rules);
  CHECK(straddling.end == End::error);
  CHECK(straddling.error->code == ErrorCode::off_stack);
  CHECK(straddling.error->address == stack_start + 32);
  CHECK(straddling.frames.size() == 1);
  CHECK(straddling.frames[0].cfa == stack_start + 32);

  add(rules, 2, frame_of(machine::sp, 8));
  const Outcome wiped = walk(Slice(4).request(2), rules);
  CHECK(wiped.end == End::truncated);
  CHECK(wiped.error->code == ErrorCode::corrupt);
  CHECK(wiped.error->message == "the return address is 0");

  add(rules, 3, frame_of(machine::sp, 64 << 20));
  const Outcome beyond = walk(slice.request(3), rules);
  CHECK(beyond.end == End::error);
  CHECK(beyond.error->code == ErrorCode::off_stack);
}

TEST_CASE("a frame of the code that starts stacks may reach over the base, and is then left out") {
  RuleCache rules;
  add(rules, 0x101, frame_of(machine::sp, 16));
  add(rules, 0x202, frame_of(machine::sp, 64));
  add(rules, 0x203, frame_of(machine::sp, 1 << 20));
  Slice slice(4);
  slice.put(1, 0x202);
  WalkRequest request = slice.request(0x101);
  CHECK(walk(request, rules).end == End::error);
  request.base_code = {0x200, 0x300};
  const Outcome cut = walk(request, rules);
  CHECK(cut.end == End::base);
  CHECK_FALSE(cut.error);
  REQUIRE(cut.frames.size() == 1);
  CHECK(cut.frames[0].pc == 0x101);

  // Nobody else's frame may, and no frame is that large.
  request.base_code = {0x300, 0x400};
  CHECK(walk(request, rules).end == End::error);
  CHECK(walk(request, rules).frames.size() == 2);
  request.base_code = {0x200, 0x300};
  slice.put(1, 0x203);
  CHECK(walk(request, rules).end == End::error);
}

TEST_CASE("missing bytes truncate, at the first address that is missing") {
  RuleCache rules;
  add(rules, 1, frame_of(machine::sp, 64));
  Slice slice(4);
  slice.stop_at(stack_start + 1000);
  const Outcome got = walk(slice.request(1), rules);
  CHECK(got.end == End::truncated);
  CHECK(got.error->code == ErrorCode::unreadable);
  CHECK(got.error->address == stack_start + 56);
}

TEST_CASE("frames must rise") {
  RuleCache rules;
  add(rules, 1, frame_of(machine::sp, 0));
  const Outcome same = walk(Slice(4).request(1), rules);
  CHECK(same.end == End::error);
  CHECK(same.error->code == ErrorCode::moved_backwards);
  add(rules, 2, frame_of(x86_64::rbp, 16));
  Slice slice(4);
  slice.with(x86_64::rbp, stack_start - 100);
  CHECK(walk(slice.request(2), rules).error->code == ErrorCode::moved_backwards);
}

TEST_CASE("an sp or a pointer outside the stack is an error with its address") {
  RuleCache rules;
  Rule realigned = frame_of(x86_64::rbp, 0);
  realigned.cfa = Rule::Cfa::memory_plus;
  realigned.slot = -8;
  add(rules, 1, realigned);
  Slice slice(4);
  slice.with(x86_64::rbp, 0x1000);
  const Outcome got = walk(slice.request(1), rules);
  CHECK(got.end == End::error);
  CHECK(got.error->code == ErrorCode::off_stack);
  CHECK(got.error->address == 0xff8);
  slice.with(machine::sp, stack_start - 8);
  CHECK(walk(slice.request(1), rules).error->address == stack_start - 8);
  CHECK(walk(slice.request(1), rules).frames.empty());
}

TEST_CASE("a register nobody knows ends the walk with a sentence, not with a guess") {
  RuleCache rules;
  add(rules, 1, frame_of(x86_64::rbp, 16));
  const Outcome got = walk(Slice(4).request(1), rules);
  CHECK(got.end == End::truncated);
  CHECK(got.error->code == ErrorCode::not_stopped);
  CHECK(got.error->message.find("rbp") != std::string::npos);

  // Caller-saved registers are lost in the caller; callee-saved ones are not.
  add(rules, 2, frame_of(machine::sp, 8));
  add(rules, 3, frame_of(x86_64::r10, 16));
  add(rules, 4, frame_of(x86_64::r12, 16));
  Slice slice(8);
  slice.put(0, 3).with(x86_64::r10, stack_start + 16).with(x86_64::r12, stack_start + 16);
  CHECK(walk(slice.request(2), rules).error->message.find("r10") != std::string::npos);
  slice.put(0, 4).put(3, 5);
  add(rules, 5, outermost());
  CHECK(walk(slice.request(2), rules).end == End::base);
}

TEST_CASE("rules that are no rules end the walk as what they are") {
  RuleCache rules;
  const std::vector<std::tuple<Rule::Status, End, ErrorCode>> cases{
      {Rule::Status::no_unwind_info, End::truncated, ErrorCode::no_unwind_info},
      {Rule::Status::malformed, End::error, ErrorCode::bad_unwind_info},
      {Rule::Status::crashed, End::error, ErrorCode::bad_unwind_info},
      {Rule::Status::stalled, End::error, ErrorCode::bad_unwind_info},
      {Rule::Status::given_up, End::error, ErrorCode::bad_unwind_info},
      {Rule::Status::inexpressible, End::truncated, ErrorCode::inexpressible}};
  Address pc = 100;
  for (const auto& [status, end, code] : cases) {
    Rule rule;
    rule.status = status;
    add(rules, ++pc, rule);
    const Outcome got = walk(Slice(4).request(pc), rules);
    CHECK(got.end == end);
    REQUIRE(got.error);
    CHECK(got.error->code == code);
    CHECK(got.error->address == pc);
    CHECK(got.frames.size() == 1);
  }
}

TEST_CASE("through a signal frame the pc above is exact and its registers are known") {
  RuleCache rules;
  add(rules, 1, frame_of(machine::sp, 8));
  add(rules, 2, trampoline());
  add(rules, 3, frame_of(x86_64::r10, 8), true);
  add(rules, 4, outermost());
  Slice slice(60);
  const auto frame = [](std::size_t n) { return 1 + n; };  // the trampoline's sp is at word 1
  slice.put(0, 2);
  slice.put(frame(20), stack_start + 40 * 8).put(frame(21), 3).put(frame(7), stack_start + 42 * 8).put(42, 4);
  const Outcome got = walk(slice.request(1), rules);
  CHECK(got.end == End::base);
  REQUIRE(got.frames.size() == 4);
  CHECK(got.frames[1].signal_trampoline);
  CHECK(got.frames[2].pc == 3);
  CHECK(got.frames[2].exact);
  CHECK(got.frames[2].sp == stack_start + 40 * 8);
  CHECK_FALSE(got.frames[3].exact);
}

TEST_CASE("signal frames may lead to another part of the stack, but not in a circle, and not off it") {
  RuleCache rules;
  add(rules, 1, trampoline(), true);
  Slice circle(60);
  circle.put(20, stack_start).put(21, 1);
  const Outcome around = walk(circle.request(1, true), rules);
  CHECK(around.end == End::error);
  CHECK(around.error->code == ErrorCode::moved_backwards);
  CHECK(around.frames.size() < 10);
  Slice elsewhere(60);
  elsewhere.put(20, 0x1234).put(21, 1);
  const Outcome other = walk(elsewhere.request(1, true), rules);
  CHECK(other.end == End::truncated);
  CHECK(other.error->code == ErrorCode::off_stack);
}

TEST_CASE("no walk is longer than its limit") {
  RuleCache rules;
  add(rules, 1, frame_of(machine::sp, 8));
  Slice slice(1000);
  for (std::size_t i = 0; i < 1000; ++i) slice.put(i, 1);
  const Outcome got = walk(slice.request(1), rules, 50);
  CHECK(got.end == End::truncated);
  CHECK(got.error->code == ErrorCode::too_deep);
  CHECK(got.frames.size() == 50);
}

TEST_CASE("places read the values of their own frame, whatever they overwrite") {
  RuleCache rules;
  // rbp and r12 change places; rbx is *(rbp + 8) by the old rbp.
  Rule swapping = frame_of(machine::sp, 8);
  swapping.base_register = x86_64::rbp;
  swapping.place(x86_64::rbp, Place(Place::Kind::in_register, x86_64::r12));
  swapping.place(x86_64::r12, Place(Place::Kind::in_register, x86_64::rbp));
  swapping.place(x86_64::rbx, Place(Place::Kind::at_base, 1));
  add(rules, 1, swapping);
  add(rules, 2, frame_of(x86_64::rbx, 16));
  add(rules, 3, outermost());
  Slice slice(20);
  slice.with(x86_64::rbp, stack_start + 10 * 8).with(x86_64::r12, 5);
  slice.put(0, 2).put(11, stack_start + 12 * 8).put(13, 3);
  const Outcome got = walk(slice.request(1), rules);
  CHECK(got.end == End::base);
  CHECK(got.frames.size() == 3);
}

TEST_CASE("a rule that a mad worker might send is refused") {
  Rule good = frame_of(machine::sp, 8);
  CHECK(is_sound(good));
  auto with = [&](auto change) {
    Rule rule = good;
    change(rule);
    return is_sound(rule);
  };
  CHECK_FALSE(with([](Rule& r) { r.cfa_register = 17; }));
  CHECK_FALSE(with([](Rule& r) { r.base_register = 200; }));
  CHECK_FALSE(with([](Rule& r) { r.changed = 0; }));
  CHECK_FALSE(with([](Rule& r) { r.changed = ~0U; }));
  CHECK_FALSE(with([](Rule& r) { r.place(x86_64::rbx, Place(Place::Kind::in_register, 300)); }));
  CHECK_FALSE(with([](Rule& r) { r.status = static_cast<Rule::Status>(77); }));
  CHECK_FALSE(with([](Rule& r) { r.cfa = static_cast<Rule::Cfa>(9); }));
  CHECK_FALSE(with([](Rule& r) { r.place(machine::sp, Place(Place::Kind::at_cfa, 1)); }));
}

TEST_CASE("the cache finds what was put in, by pc and by file, and nothing else") {
  RuleCache cache;
  constexpr Address many = 20'000;
  for (Address i = 1; i <= many; ++i) {
    const FileKey file{i * 16, 7, false};
    cache.add({i * 4096, false}, &file, frame_of(machine::sp, static_cast<int>(i % 50) * 8 + 8));
  }
  CHECK(cache.distinct_rules() == 50);
  for (Address i = 1; i <= many; ++i) {
    const Rule* rule = cache.find({i * 4096, false});
    REQUIRE(rule != nullptr);
    REQUIRE(rule->offset == static_cast<int>(i % 50) * 8 + 8);
  }
  CHECK(cache.find({4096, true}) == nullptr);
  CHECK(cache.find({4097, false}) == nullptr);
  CHECK(cache.find({0, false}) == nullptr);
  cache.clear_pcs();
  CHECK(cache.find({4096, false}) == nullptr);
  CHECK(cache.bind({123, false}, {16, 7, false}));
  CHECK_FALSE(cache.bind({124, false}, {16, 8, false}));
  CHECK_FALSE(cache.bind({124, false}, {16, 7, true}));
  REQUIRE(cache.find({123, false}) != nullptr);
  CHECK(cache.find({123, false})->offset == 16);
}

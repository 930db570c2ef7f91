#include "inspect/worker/server/learner_x86_64.hpp"

#include <libunwind.h>

#include <array>
#include <cstring>
#include <optional>
#include <stdexcept>

#include "inspect/worker/server/libunwind_hooks.hpp"

namespace coppice::inspect::worker {
namespace {

// Where unw_context_t keeps each register, by DWARF number: rax rbx rcx rdx rdi rsi rbp rsp r8 ... r15 rip.
constexpr std::array<unsigned, x86_64::register_count> context_word{0, 3,  2,  1,  5,  4,  6,  7, 8,
                                                                    9, 10, 11, 12, 13, 14, 15, 16};

using Values = std::array<std::uint64_t, x86_64::register_count>;

unw_context_t make_context(const Values& values) {
  unw_context_t context{};
  for (unsigned i = 0; i < values.size(); ++i) context.data[context_word[i]] = values[i];
  return context;
}

std::optional<Values> read_registers(unw_cursor_t& cursor) {
  Values values{};
  for (unsigned i = 0; i < values.size(); ++i) {
    unw_word_t value = 0;
    if (unw_get_reg(&cursor, i == x86_64::rip ? UNW_REG_IP : static_cast<int>(i), &value) != UNW_ESUCCESS) {
      return std::nullopt;
    }
    values[i] = value;
  }
  return values;
}

Rule of_status(Rule::Status status) {
  Rule rule;
  rule.status = status;
  return rule;
}

// Lets the FDE cover one more byte, when libunwind has to be asked for the pc just behind it. The image is
// our own copy; the old size comes back at the end.
class Stretched {
 public:
  Stretched(const ElfImage& image, const Fde& fde) : field_(fde.size_field), size_(fde.size) {
    done_ = !field_.empty() && image.make_writable(field_);
    if (done_) write(size_ + 1);
  }
  Stretched(const Stretched&) = delete;
  Stretched& operator=(const Stretched&) = delete;
  ~Stretched() {
    if (done_) write(size_);
  }
  bool done() const noexcept { return done_; }

 private:
  void write(std::uint64_t size) { std::memcpy(field_.data(), &size, field_.size()); }

  std::span<std::byte> field_;
  std::uint64_t size_;
  bool done_;
};

// Puts the meanings of one step together to a rule.
class Composer {
 public:
  Composer(const Values& before, const Values& after, const MarkedStack& stack, unsigned probe)
      : before_(before), after_(after), stack_(stack), probe_(probe) {}

  Rule compose() {
    if (!place_cfa()) return of_status(Rule::Status::inexpressible);
    for (unsigned i = 0; i < x86_64::register_count; ++i) {
      if (i == x86_64::rsp) continue;
      if (i != x86_64::rip && after_[i] == before_[i]) continue;
      const auto place = place_of(stack_.decode(after_[i], probe_));
      if (!place) return of_status(Rule::Status::inexpressible);
      rule_.place(i, *place);
    }
    rule_.status = Rule::Status::usable;
    return rule_;
  }

 private:
  // libunwind hands out the CFA as the caller's sp; a rule for sp itself (signal frames) wins, and that is
  // the CFA then.
  bool place_cfa() {
    const Meaning meaning = stack_.decode(after_[x86_64::rsp], probe_);
    if (const auto* sum = std::get_if<RegisterPlus>(&meaning)) {
      rule_.cfa = Rule::Cfa::register_plus;
      rule_.cfa_register = static_cast<std::uint8_t>(sum->register_number);
      rule_.offset = static_cast<std::int32_t>(sum->offset);
      return true;
    }
    if (const auto* sum = std::get_if<WordPlus>(&meaning)) {
      rule_.cfa = Rule::Cfa::memory_plus;
      rule_.cfa_register = static_cast<std::uint8_t>(sum->at.register_number);
      rule_.slot = static_cast<std::int32_t>(sum->at.offset);
      rule_.offset = static_cast<std::int32_t>(sum->offset);
      cfa_word_ = sum->at;
      return true;
    }
    return false;
  }

  std::optional<Place> place_of(const Meaning& meaning) {
    if (std::holds_alternative<Nothing>(meaning)) return Place(Place::Kind::undefined, 0);
    if (const auto* sum = std::get_if<RegisterPlus>(&meaning)) {
      if (is_cfa_register(sum->register_number))
        return scaled(Place::Kind::cfa_plus, sum->offset - rule_.offset);
      if (sum->offset != 0) return std::nullopt;
      return Place(Place::Kind::in_register, static_cast<int>(sum->register_number));
    }
    if (const auto* sum = std::get_if<WordPlus>(&meaning)) {
      if (sum->offset != 0) return std::nullopt;
      if (is_cfa_register(sum->at.register_number)) {
        return scaled(Place::Kind::at_cfa, sum->at.offset - rule_.offset);
      }
      if (base_ && *base_ != sum->at.register_number) return std::nullopt;
      base_ = sum->at.register_number;
      rule_.base_register = static_cast<std::uint8_t>(*base_);
      return scaled(Place::Kind::at_base, sum->at.offset);
    }
    if (const auto* word = std::get_if<WordBehind>(&meaning)) {
      if (rule_.cfa != Rule::Cfa::memory_plus || word->at.at != cfa_word_) return std::nullopt;
      return scaled(Place::Kind::at_cfa, word->at.offset - rule_.offset);
    }
    return std::nullopt;
  }

  bool is_cfa_register(unsigned number) const {
    return rule_.cfa == Rule::Cfa::register_plus && rule_.cfa_register == number;
  }

  static std::optional<Place> scaled(Place::Kind kind, std::int64_t distance) {
    constexpr std::int64_t word = 8;
    const std::int64_t n = distance / word;
    if (distance % word != 0 || n < Place::min_n || n > Place::max_n) return std::nullopt;
    return Place(kind, static_cast<int>(n));
  }

  const Values& before_;
  const Values& after_;
  const MarkedStack& stack_;
  unsigned probe_;
  Rule rule_;
  RegisterPlus cfa_word_{};
  std::optional<unsigned> base_;
};

}  // namespace

Learner::Learner() {
  Values expected{};
  for (unsigned i = 0; i < expected.size(); ++i) expected[i] = 0x1000 + i;
  unw_context_t context = make_context(expected);
  unw_cursor_t cursor{};
  std::optional<Values> found;
  const bool ended = without_abort([&] {
    if (unw_init_local(&cursor, &context) == UNW_ESUCCESS) found = read_registers(cursor);
  });
  if (!ended || !found || *found != expected) {
    throw std::runtime_error("this libunwind keeps registers in an unknown order");
  }
}

Rule Learner::learn(const ElfImage& image, EhFrame& eh_frame, std::uint64_t offset, bool exact) {
  stack_.trim();
  std::uint64_t lookup = offset + image.bias() - (exact ? 0 : 1);
  auto fde = eh_frame.find(lookup);
  if (!exact && (!fde || !fde->signal_frame)) {
    // A handler returns to the first byte of the signal trampoline; nobody called from the byte before it.
    if (auto trampoline = eh_frame.find(lookup + 1); trampoline && trampoline->signal_frame) {
      fde = trampoline;
      lookup += 1;
    }
  }
  if (!fde) return of_status(Rule::Status::no_unwind_info);

  // libunwind applies the rows that begin before the pc it is given, so the row at `lookup` wants the pc
  // behind it.
  std::uint64_t ip = lookup + 1;
  std::optional<Stretched> stretched;
  if (!fde->covers(ip)) {
    stretched.emplace(image, *fde);
    if (!stretched->done()) ip = lookup;
  }
  const Rule first = probe(*fde, ip, 0);
  const Rule second = probe(*fde, ip, 1);
  Rule rule = first == second ? first : of_status(Rule::Status::inexpressible);
  if (rule.usable() && !is_sound(rule)) rule = of_status(Rule::Status::malformed);
  return rule;
}

Rule Learner::probe(const Fde& fde, std::uint64_t ip, unsigned probe) {
  Values before{};
  for (unsigned i = 0; i < MarkedStack::registers; ++i) before[i] = stack_.value(i, probe);
  before[x86_64::rip] = ip;
  present({.start = fde.start, .end = fde.start + fde.size + 1, .fde = fde.address});
  unw_context_t context = make_context(before);
  unw_cursor_t cursor{};
  std::optional<Values> after;
  const bool ended = without_abort([&] {
    if (unw_init_local(&cursor, &context) == UNW_ESUCCESS && unw_step(&cursor) >= 0)
      after = read_registers(cursor);
  });
  // Having stepped, libunwind finds no unwind information at the marked return address and reports the end;
  // it also does when it took no step because it could not use the FDE.
  if (!ended || !after || after == before) return of_status(Rule::Status::malformed);
  Rule rule = Composer(before, *after, stack_, probe).compose();
  rule.signal_frame = rule.usable() && fde.signal_frame ? 1 : 0;
  return rule;
}

}  // namespace coppice::inspect::worker

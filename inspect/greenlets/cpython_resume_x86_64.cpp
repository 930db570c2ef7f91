#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "inspect/greenlets/cpython_resume.hpp"

namespace coppice::inspect {
namespace {

constexpr std::uint64_t largest_text = 16U << 20U;
constexpr std::size_t sequence_size = 14;
constexpr std::size_t longest_switch = 0x400;  // bytes of slp_switch()
constexpr std::size_t farthest_restore = 48;   // from the resume point
constexpr std::size_t largest_frame = 512;     // of slp_switch()

std::uint8_t byte_at(std::span<const std::byte> bytes, std::size_t at) {
  return at < bytes.size() ? std::to_integer<std::uint8_t>(bytes[at]) : 0;
}

template <class T>
T value_at(std::span<const std::byte> bytes, std::size_t at) {
  T value{};
  if (at <= bytes.size() && bytes.size() - at >= sizeof value) {
    std::memcpy(&value, bytes.data() + at, sizeof value);
  }
  return value;
}

/// add %reg,%rsp; add %reg,%rbp; call slp_restore_state; xor %rax,%rax
///     (48|4c) 01 (c4..fc)   (48|4c) 01 (c5..fd)   e8 rel32   48 31 c0
bool is_switch_sequence(std::span<const std::byte> code) {
  const auto adds_to = [&](std::size_t at, std::uint8_t destination) {
    const std::uint8_t rex = byte_at(code, at);
    return (rex == 0x48 || rex == 0x4c) && byte_at(code, at + 1) == 0x01 &&
           (byte_at(code, at + 2) & 0xc7U) == (0xc0U | destination);
  };
  constexpr std::uint8_t rsp = 4, rbp = 5;
  return adds_to(0, rsp) && adds_to(3, rbp) && byte_at(code, 6) == 0xe8 && byte_at(code, 11) == 0x48 &&
         byte_at(code, 12) == 0x31 && byte_at(code, 13) == 0xc0;
}

/// The last of slp_switch() restores both: mov disp(%rsp),%reg or mov disp(%rbp),%reg.
void find_slots(std::span<const std::byte> code, ResumePoint& resume) {
  for (std::size_t at = 0; at < std::min(code.size(), farthest_restore); ++at) {
    if (byte_at(code, at) != 0x48 || byte_at(code, at + 1) != 0x8b) continue;
    const std::uint8_t modrm = byte_at(code, at + 2);
    const std::uint8_t mode = modrm >> 6U, destination = modrm >> 3U & 7U, source = modrm & 7U;
    constexpr std::uint8_t rbx = 3, rbp = 5, sib = 4, only_rsp = 0x24;
    if (destination != rbx && destination != rbp) continue;
    ResumePoint::Slot slot{true, source == rbp, 0};
    std::size_t displacement = at + 3;
    if (source == sib) {
      if (byte_at(code, displacement++) != only_rsp) continue;
    } else if (source != rbp) {
      continue;
    }
    if (mode == 1) {
      slot.offset = std::int32_t{value_at<std::int8_t>(code, displacement)};
    } else if (mode == 2) {
      slot.offset = value_at<std::int32_t>(code, displacement);
    } else if (mode != 0 || source == rbp) {
      continue;
    }
    ResumePoint::Slot& which = destination == rbx ? resume.base : resume.frame_pointer;
    if (!which.known) which = slot;
  }
}

/// The CFA of the suspended slp_switch(), without CFI: right above the first word of the stack that is a
/// return address behind a call of it. 0: there is none.
Address frame_address(const Greenlet& greenlet, const ResumePoint& resume, const Memory& memory) {
  const std::size_t size = std::min(greenlet.stack.size(), largest_frame);
  for (std::size_t at = 0; at + 8 <= size; at += 8) {
    const auto word = value_at<Address>(greenlet.stack, at);
    if (word < resume.text_low + 5 || word > resume.text_high) continue;
    const auto call = memory.read_value<std::array<std::byte, 5>>(word - 5);
    if (!call.ok() || byte_at(*call, 0) != 0xe8) continue;
    const Address called = word + static_cast<std::uint64_t>(std::int64_t{value_at<std::int32_t>(*call, 1)});
    if (called < resume.pc && resume.pc - called < longest_switch) return greenlet.slice.start + at + 8;
  }
  return 0;
}

}  // namespace

Result<ResumePoint> find_resume_point(const Memory& memory, const GreenletExtension& extension) {
  const Module& module = extension.module;
  std::vector<ResumePoint> found;
  std::uint64_t missing = 0;
  for (const Segment& segment : module.segments) {
    if (!segment.executable) continue;
    const Address start = segment.vaddr + module.bias;
    std::vector<std::byte> text(
        static_cast<std::size_t>(std::min({segment.memory_size, largest_text, module.end - module.start})));
    const std::size_t got = memory.read_some(start, text);
    if (got < text.size()) ++missing;
    text.resize(got);
    constexpr std::size_t before_call = 6, behind_call = 11;
    for (std::size_t at = 0; at + sequence_size <= text.size(); ++at) {
      const void* const call =
          std::memchr(text.data() + at + before_call, 0xe8, text.size() - at - before_call);
      if (call == nullptr) break;
      at = static_cast<std::size_t>(static_cast<const std::byte*>(call) - text.data()) - before_call;
      const std::span<const std::byte> code = std::span<const std::byte>(text).subspan(at);
      if (!is_switch_sequence(code)) continue;
      ResumePoint resume;
      resume.pc = start + at + behind_call;
      resume.text_low = start;
      resume.text_high = start + text.size();
      find_slots(code.subspan(behind_call), resume);
      found.push_back(resume);
    }
  }
  if (found.size() == 1) return found.front();
  if (found.empty() && missing > 0) {
    return Error{ErrorCode::unreadable, module.start,
                 fmt::format("the code of {} cannot be read, so it is not known where its greenlets continue",
                             module.path)};
  }
  return Error{
      ErrorCode::unsupported, module.start,
      fmt::format("the code of {} has {} places that look like the one where greenlets continue, not one",
                  module.path, found.size())};
}

void set_resume_registers(Greenlet& greenlet, const ResumePoint& resume, const Memory& memory) {
  greenlet.registers = Registers();
  greenlet.exact_pc = true;
  const Address start = greenlet.slice.start;
  greenlet.registers.set(x86_64::rip, resume.pc);
  greenlet.registers.set(x86_64::rsp, start);
  Address frame_pointer = 0;
  if (resume.base.by_frame_pointer || resume.frame_pointer.by_frame_pointer) {
    const Address cfa = frame_address(greenlet, resume, memory);
    if (cfa == 0) return;
    frame_pointer = cfa - 16;  // where the caller's was pushed
  }
  const auto restore = [&](const ResumePoint::Slot& slot, unsigned number) {
    const Address from = slot.by_frame_pointer ? frame_pointer : start;
    const Address at = from + static_cast<std::uint64_t>(std::int64_t{slot.offset}) - start;
    if (!slot.known || at > greenlet.stack.size() || greenlet.stack.size() - at < 8) return;
    greenlet.registers.set(number, value_at<std::uint64_t>(greenlet.stack, static_cast<std::size_t>(at)));
  };
  restore(resume.base, x86_64::rbx);
  restore(resume.frame_pointer, x86_64::rbp);
}

}  // namespace coppice::inspect

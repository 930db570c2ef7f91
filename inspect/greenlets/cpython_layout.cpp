#include "inspect/greenlets/cpython_layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <utility>

#include "inspect/greenlets/cpython_layout_table.hpp"
#include "inspect/greenlets/range_reader.hpp"

namespace coppice::inspect {
namespace {

constexpr std::size_t most_samples = 512;
constexpr std::uint16_t word_size = 8;
/// Where a PyGreenlet has its pointer to the C++ object, and its type; with the GIL and without.
struct ObjectHead {
  std::uint16_t pimpl, type;
};
constexpr std::array object_heads{ObjectHead{0x20, 0x08}, ObjectHead{0x30, 0x18}};

/// One C++ object's bytes.
struct Sample {
  Address address = 0;
  bool main = false;
  std::array<std::uint64_t, GreenletLayout::most / word_size> words{};
  std::uint64_t at(std::uint16_t offset) const { return words[offset / word_size]; }
};

/// Counts votes for offsets.
class Votes {
 public:
  void add(std::uint32_t candidate) { ++votes_[candidate]; }
  /// The candidate with most votes; of equals the smallest.
  std::optional<std::uint32_t> winner() const {
    const auto most = std::ranges::max_element(
        votes_, [](const auto& left, const auto& right) { return left.second < right.second; });
    if (most == votes_.end()) return std::nullopt;
    return most->first;
  }

 private:
  std::map<std::uint32_t, std::size_t> votes_;
};

/// Follows the trail from C++ objects to everything else.
class Calibration {
 public:
  Calibration(const Memory& memory, const GreenletExtension& extension, std::optional<PythonVersion> python)
      : memory_(memory), extension_(extension), python_(python) {}

  Result<std::optional<GreenletLayout>> run(std::span<const Address> hits) {
    read_samples(hits);
    if (samples_.empty()) return std::optional<GreenletLayout>();
    if (!find_self()) {
      return refuse(
          fmt::format("none of {} C++ objects points to a Python object that points back", samples_.size()));
    }
    std::erase_if(samples_, [this](const Sample& sample) { return !belongs(sample); });
    if (!find_stop()) return refuse("no main greenlet's stack has no end");
    layout_.top_frame = layout_.start + 0x30;
    const bool by_thread_state = find_thread_state();
    const bool by_main = find_main();
    const std::vector<const KnownLayout*> rows = matching_rows(by_thread_state, by_main);
    if (!by_thread_state && !by_main) {
      if (rows.size() != 1) return refuse("no thread's state was found");
      layout_.main = rows.front()->main;
      layout_.thread_state = rows.front()->thread_state;
    } else if (!by_thread_state) {
      layout_.thread_state = layout_.main + gap();
    } else if (!by_main) {
      layout_.main = layout_.thread_state - gap();
    } else if (layout_.thread_state != layout_.main + gap()) {
      return refuse(
          fmt::format("main greenlets have their thread's state at {:#x} but others their main "
                      "greenlet at {:#x}",
                      layout_.thread_state, layout_.main));
    }
    layout_.parent = layout_.main + 0x10;
    if (layout_.main <= layout_.top_frame || layout_.parent + word_size > GreenletLayout::most) {
      return refuse(fmt::format("a main greenlet's address at {:#x} does not fit", layout_.main));
    }
    find_current_frame(rows);
    find_previous_frame(rows);
    if (auto unlike = contradiction()) return refuse(*unlike);
    return std::optional(layout_);
  }

 private:
  /// Between where a UserGreenlet has its main greenlet and a MainGreenlet its thread's state.
  std::uint16_t gap() const { return layout_.self == word_size ? word_size : 0; }

  Error refuse(std::string_view what) const {
    return {ErrorCode::unsupported, extension_.module.start,
            fmt::format("the greenlet extension {} keeps its greenlets in a way that is not known: {}",
                        extension_.module.path, what)};
  }

  /// Main greenlets first: they say most.
  void read_samples(std::span<const Address> hits) {
    RangeReader vtables(memory_);
    const std::size_t looked_at = std::min<std::size_t>(hits.size(), std::size_t{1} << 17U);
    for (std::size_t i = 0; i < looked_at; ++i) vtables.add(hits[i], word_size);
    vtables.read();
    std::vector<std::pair<Address, bool>> chosen;
    for (const bool main : {true, false}) {
      for (std::size_t i = 0; i < looked_at && chosen.size() < (main ? most_samples / 2 : most_samples);
           ++i) {
        if ((vtables.word(i) == extension_.main_vtable) == main) chosen.emplace_back(hits[i], main);
      }
    }
    RangeReader objects(memory_);
    for (const auto& [address, main] : chosen) objects.add(address, GreenletLayout::most);
    objects.read();
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const std::span<const std::byte> bytes = objects.bytes(i);
      Sample sample{chosen[i].first, chosen[i].second, {}};
      std::memcpy(sample.words.data(), bytes.data(), bytes.size());  // what is missing is zero
      if (!bytes.empty()) samples_.push_back(sample);
    }
  }

  /// The first word that points to an object which points back.
  bool find_self() {
    RangeReader back(memory_);
    struct Candidate {
      const Sample* sample;
      std::uint16_t offset;
      std::size_t head;
    };
    std::vector<Candidate> candidates;
    for (const Sample& sample : samples_) {
      for (std::uint16_t offset = word_size; offset < GreenletLayout::most; offset += word_size) {
        const Address object = sample.at(offset);
        if (object % word_size != 0 || object < 0x1000 || object > INT64_MAX) continue;
        for (std::size_t head = 0; head < object_heads.size(); ++head) {
          candidates.push_back({&sample, offset, head});
          back.add(object + object_heads[head].pimpl, word_size);
        }
      }
    }
    back.read();
    Votes votes;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (back.word(i) != candidates[i].sample->address) continue;
      votes.add(static_cast<std::uint32_t>(candidates[i].head) << 16U | candidates[i].offset);
    }
    const auto winner = votes.winner();
    if (!winner) return false;
    layout_.self = static_cast<std::uint16_t>(*winner);
    layout_.pimpl = object_heads[*winner >> 16U].pimpl;
    layout_.type = object_heads[*winner >> 16U].type;
    return true;
  }

  bool belongs(const Sample& sample) const {
    const auto back = memory_.read_value<Address>(sample.at(layout_.self) + layout_.pimpl);
    return back.ok() && *back == sample.address;
  }

  /// A main greenlet's stack has no end: -1.
  bool find_stop() {
    Votes votes;
    for (const Sample& sample : samples_) {
      if (!sample.main) continue;
      for (std::uint16_t offset = 0x28; offset <= 0x60; offset += word_size) {
        if (sample.at(offset) == UINT64_MAX) votes.add(offset);
      }
    }
    if (const auto winner = votes.winner()) layout_.start = static_cast<std::uint16_t>(*winner - word_size);
    return layout_.start != 0;
  }

  /// ThreadState begins with the main greenlet.
  bool find_thread_state() {
    Votes votes;
    for (const Sample& sample : samples_) {
      if (!sample.main) continue;
      for (std::uint16_t offset = layout_.top_frame + word_size; offset < GreenletLayout::most;
           offset += word_size) {
        const auto main = memory_.read_value<Address>(sample.at(offset));
        if (main.ok() && *main == sample.at(layout_.self)) votes.add(offset);
      }
    }
    if (const auto winner = votes.winner()) layout_.thread_state = static_cast<std::uint16_t>(*winner);
    return layout_.thread_state != 0;
  }

  /// The first word behind the top frame that is a main greenlet; of started greenlets, since those which
  /// have not started have none, but the next word, their parent, may be one.
  bool find_main() {
    std::vector<Address> mains;
    for (const Sample& sample : samples_) {
      if (sample.main) mains.push_back(sample.at(layout_.self));
    }
    std::ranges::sort(mains);
    Votes votes;
    for (const Sample& sample : samples_) {
      if (sample.main || sample.at(layout_.stop()) == 0) continue;
      for (std::uint16_t offset = layout_.top_frame + word_size; offset < GreenletLayout::most;
           offset += word_size) {
        if (!std::ranges::binary_search(mains, sample.at(offset))) continue;
        votes.add(offset);
        break;
      }
    }
    if (const auto winner = votes.winner()) layout_.main = static_cast<std::uint16_t>(*winner);
    return layout_.main != 0;
  }

  /// The rows of the table that say the same as what was found.
  std::vector<const KnownLayout*> matching_rows(bool by_thread_state, bool by_main) const {
    std::vector<const KnownLayout*> rows;
    for (const KnownLayout& row : known_layouts) {
      if (python_ && (python_->minor() < row.python_first || python_->minor() > row.python_last)) continue;
      const std::uint16_t moved = layout_.pimpl == object_heads[1].pimpl ? word_size : 0;
      if (row.self != layout_.self || row.start != layout_.start || row.top_frame != layout_.top_frame)
        continue;
      if (by_thread_state && row.thread_state + moved != layout_.thread_state) continue;
      if (by_main && row.main + moved != layout_.main) continue;
      rows.push_back(&row);
    }
    return rows;
  }

  /// The word that is the same as what the top frame, a PyFrameObject, says.
  void find_current_frame(std::span<const KnownLayout* const> rows) {
    if (python_ && python_->minor() < 11) return;
    constexpr std::uint16_t frame_of_frame_object = 0x18;
    Votes votes;
    for (const Sample& sample : samples_) {
      const Address top = sample.at(layout_.top_frame);
      if (top == 0) continue;
      const auto frame = memory_.read_value<Address>(top + frame_of_frame_object);
      if (!frame.ok() || *frame == 0) continue;
      for (std::uint16_t offset = layout_.top_frame + word_size; offset < layout_.main; offset += word_size) {
        if (sample.at(offset) == *frame) votes.add(offset);
      }
    }
    const auto winner = votes.winner();
    if (winner) {
      layout_.current_frame = static_cast<std::uint16_t>(*winner);
    } else if (rows.size() == 1) {
      layout_.current_frame = rows.front()->current_frame;
    }
  }

  void find_previous_frame(std::span<const KnownLayout* const> rows) {
    for (const KnownLayout* row : rows) layout_.previous_frame = row->previous_frame;
  }

  /// What most of the samples contradict, in words.
  std::optional<std::string> contradiction() const {
    std::size_t slices = 0, broken_slices = 0;
    for (const Sample& sample : samples_) {
      const Address start = sample.at(layout_.start), stop = sample.at(layout_.stop());
      const std::uint64_t saved = sample.at(layout_.saved());
      if (start == 0 || saved == 0) continue;
      ++slices;
      if (stop < start || saved > stop - start || sample.at(layout_.copy()) == 0) ++broken_slices;
    }
    if (broken_slices * 2 > slices) {
      return fmt::format("{} of {} slices cannot be where they should be (at {:#x})", broken_slices, slices,
                         layout_.start);
    }
    return std::nullopt;
  }

  const Memory& memory_;
  const GreenletExtension& extension_;
  std::optional<PythonVersion> python_;
  GreenletLayout layout_;
  std::vector<Sample> samples_;
};

}  // namespace

std::uint16_t GreenletLayout::size() const noexcept {
  return static_cast<std::uint16_t>(std::max({self, saved(), top_frame, previous_frame, current_frame, main,
                                              parent, thread_state, run_info}) +
                                    word_size);
}

Result<GreenletLayout> flat_layout(const Memory& memory, const GreenletExtension& extension,
                                   std::optional<PythonVersion> python) {
  struct Size {
    std::uint64_t bytes;
    unsigned python_first, python_last;
  };
  constexpr std::array sizes{Size{0x98, 8, 9}, Size{0xa0, 10, 10}, Size{0xb0, 11, 11}};
  constexpr std::uint64_t tp_basicsize = 0x20;
  const auto size = memory.read_value<std::uint64_t>(extension.type + tp_basicsize);
  if (!size.ok()) return size.error();
  const auto known = std::ranges::find(sizes, *size, &Size::bytes);
  const bool fits =
      known != sizes.end() &&
      (!python || (python->minor() >= known->python_first && python->minor() <= known->python_last));
  if (!fits) {
    return Error{
        ErrorCode::unsupported, extension.type,
        fmt::format("{} is a greenlet extension older than 2.0 whose greenlets have {} bytes, which is "
                    "no size that is known{}",
                    extension.module.path, *size, python ? " for CPython " + python->text() : "")};
  }
  GreenletLayout layout;
  layout.pimpl = 0;
  layout.start = 0x10;
  layout.parent = 0x38;
  layout.run_info = 0x40;
  layout.top_frame = 0x48;
  if (known->python_first >= 11) layout.current_frame = 0x58;
  return layout;
}

Result<std::optional<GreenletLayout>> calibrate(const Memory& memory, const GreenletExtension& extension,
                                                std::span<const Address> hits,
                                                std::optional<PythonVersion> python) {
  return Calibration(memory, extension, python).run(hits);
}

}  // namespace coppice::inspect

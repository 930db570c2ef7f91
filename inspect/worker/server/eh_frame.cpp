#include "inspect/worker/server/eh_frame.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace coppice::inspect::worker {
namespace {

// DW_EH_PE_*: LSB, "DWARF Exception Header Encoding".
enum Encoding : std::uint8_t {
  absolute = 0x00,
  uleb128 = 0x01,
  udata2 = 0x02,
  udata4 = 0x03,
  udata8 = 0x04,
  sleb128 = 0x09,
  sdata2 = 0x0a,
  sdata4 = 0x0b,
  sdata8 = 0x0c,
  format_mask = 0x0f,
  pc_relative = 0x10,
  application_mask = 0x70,
  indirect = 0x80,
  data_relative_sdata4 = 0x3b,
  pc_relative_sdata4 = 0x1b,
};

// Reads forward through mapped bytes; after a failure everything reads as 0 and ok() is false.
class Cursor {
 public:
  explicit Cursor(std::span<std::byte> bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  std::uint64_t address() const { return reinterpret_cast<std::uint64_t>(bytes_.data()); }
  std::span<std::byte> rest() const { return bytes_; }
  void limit(std::uint64_t size) {
    if (size > bytes_.size())
      ok_ = false;
    else
      bytes_ = bytes_.first(size);
  }

  template <class T>
  T take() {
    T value{};
    if (!ok_ || bytes_.size() < sizeof value) {
      ok_ = false;
      return value;
    }
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_ = bytes_.subspan(sizeof value);
    return value;
  }

  std::uint64_t take_uleb128() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; ok_; shift += 7) {
      const auto byte = take<std::uint8_t>();
      if (shift < 64) value |= std::uint64_t{byte & 0x7fU} << shift;
      if ((byte & 0x80) == 0) break;
    }
    return value;
  }

  // Without DW_EH_PE_indirect, which no start of a function has.
  std::uint64_t take_encoded(std::uint8_t encoding) {
    const std::uint64_t base = (encoding & application_mask) == pc_relative ? address() : 0;
    if ((encoding & application_mask) != pc_relative && (encoding & application_mask) != 0) ok_ = false;
    switch (encoding & format_mask) {
      case absolute:
      case udata8:
      case sdata8:
        return base + take<std::uint64_t>();
      case uleb128:
        return base + take_uleb128();
      case udata2:
        return base + take<std::uint16_t>();
      case udata4:
        return base + take<std::uint32_t>();
      case sdata2:
        return base + static_cast<std::uint64_t>(take<std::int16_t>());
      case sdata4:
        return base + static_cast<std::uint64_t>(take<std::int32_t>());
      default:
        ok_ = false;
        return 0;
    }
  }

  // Leaves a cursor over the content of a CIE or FDE: what follows its length.
  bool enter_entry() {
    const auto length = take<std::uint32_t>();
    if (length == 0) return false;
    limit(length == 0xffffffffU ? take<std::uint64_t>() : length);
    return ok_;
  }

 private:
  std::span<std::byte> bytes_;
  bool ok_ = true;
};

struct Cie {
  std::uint8_t pointer_encoding = absolute;
  bool signal_frame = false;
};

std::optional<Cie> parse_cie(std::span<std::byte> bytes) {
  Cursor cursor(bytes);
  if (!cursor.enter_entry() || cursor.take<std::uint32_t>() != 0) return std::nullopt;
  const auto version = cursor.take<std::uint8_t>();
  if (version != 1 && version != 3) return std::nullopt;
  std::string augmentation;
  constexpr std::size_t longest_augmentation = 16;
  for (char letter = cursor.take<char>(); letter != '\0'; letter = cursor.take<char>()) {
    augmentation += letter;
    if (augmentation.size() > longest_augmentation) return std::nullopt;
  }
  cursor.take_uleb128();  // code alignment
  cursor.take_uleb128();  // data alignment, a SLEB128 of the same length
  if (version == 1)
    cursor.take<std::uint8_t>();
  else
    cursor.take_uleb128();
  Cie cie;
  if (augmentation.empty()) return cursor.ok() ? std::optional(cie) : std::nullopt;
  if (augmentation.front() != 'z') return std::nullopt;
  cursor.take_uleb128();
  for (const char letter : augmentation) {
    switch (letter) {
      case 'P':
        cursor.take_encoded(cursor.take<std::uint8_t>() & format_mask);
        break;
      case 'L':
        cursor.take<std::uint8_t>();
        break;
      case 'R':
        cie.pointer_encoding = cursor.take<std::uint8_t>();
        break;
      case 'S':
        cie.signal_frame = true;
        break;
      default:
        break;
    }
  }
  if (!cursor.ok() || (cie.pointer_encoding & indirect) != 0) return std::nullopt;
  return cie;
}

}  // namespace

std::optional<Fde> EhFrame::parse_fde(std::uint64_t address) const {
  Cursor cursor(image_.bytes_from(address));
  if (!cursor.enter_entry()) return std::nullopt;
  const std::uint64_t id_address = cursor.address();
  const auto cie_distance = cursor.take<std::uint32_t>();
  if (!cursor.ok() || cie_distance == 0) return std::nullopt;
  const auto cie = parse_cie(image_.bytes_from(id_address - cie_distance));
  if (!cie) return std::nullopt;
  Fde fde;
  fde.address = address;
  fde.signal_frame = cie->signal_frame;
  fde.start = cursor.take_encoded(cie->pointer_encoding);
  const std::span<std::byte> size_field = cursor.rest();
  fde.size = cursor.take_encoded(cie->pointer_encoding & format_mask);
  if (!cursor.ok()) return std::nullopt;
  const std::size_t width = size_field.size() - cursor.rest().size();
  if (width == 4 || width == 8) fde.size_field = size_field.first(width);
  return fde;
}

std::optional<Fde> EhFrame::covering(std::uint64_t fde, std::uint64_t address) const {
  auto parsed = parse_fde(fde);
  if (parsed && parsed->covers(address)) return parsed;
  return std::nullopt;
}

std::optional<Fde> EhFrame::find_in_file_index(std::uint64_t address) const {
  const auto found = image_.eh_frame_hdr();
  if (!found) return std::nullopt;
  const std::uint64_t header = *found;
  Cursor cursor(image_.bytes_from(header));
  const auto encodings = cursor.take<std::array<std::uint8_t, 4>>();
  // Every linker writes the table this way; another one is only slower here.
  if (encodings[0] != 1 || encodings[1] != pc_relative_sdata4 || encodings[2] != udata4 ||
      encodings[3] != data_relative_sdata4) {
    return std::nullopt;
  }
  cursor.take<std::uint32_t>();  // where .eh_frame is
  const std::uint64_t count = cursor.take<std::uint32_t>();
  struct TableEntry {
    std::int32_t start;
    std::int32_t fde;
  };
  const std::span<std::byte> table = cursor.rest();
  if (!cursor.ok() || count == 0 || table.size() / sizeof(TableEntry) < count) return std::nullopt;
  auto entry_at = [&](std::uint64_t i) {
    TableEntry entry{};
    std::memcpy(&entry, table.data() + i * sizeof entry, sizeof entry);
    return entry;
  };
  std::uint64_t low = 0;  // the last entry known to start at or below the address
  for (std::uint64_t high = count; high - low > 1;) {
    const std::uint64_t middle = low + (high - low) / 2;
    const bool above = header + static_cast<std::uint64_t>(std::int64_t{entry_at(middle).start}) > address;
    (above ? high : low) = middle;
  }
  return covering(header + static_cast<std::uint64_t>(std::int64_t{entry_at(low).fde}), address);
}

std::vector<EhFrame::Entry> EhFrame::make_index() const {
  std::vector<Entry> index;
  std::uint64_t at = image_.eh_frame().value_or(0);
  if (const auto found = image_.eh_frame_hdr(); at == 0 && found) {
    Cursor header(image_.bytes_from(*found));
    const auto encodings = header.take<std::array<std::uint8_t, 4>>();
    at = header.take_encoded(encodings[1]);
    if (!header.ok()) return index;
  }
  for (;;) {
    const std::span<std::byte> bytes = image_.bytes_from(at);
    Cursor cursor(bytes);
    if (!cursor.enter_entry()) break;
    if (auto fde = parse_fde(at); fde && fde->size != 0) index.push_back({fde->start, at});
    at = cursor.address() + cursor.rest().size();
  }
  std::sort(index.begin(), index.end(), [](const Entry& a, const Entry& b) { return a.start < b.start; });
  return index;
}

std::optional<Fde> EhFrame::find(std::uint64_t address) {
  if (auto fde = find_in_file_index(address)) return fde;
  if (!index_) index_ = make_index();
  auto above =
      std::upper_bound(index_->begin(), index_->end(), address,
                       [](std::uint64_t wanted, const Entry& entry) { return wanted < entry.start; });
  if (above == index_->begin()) return std::nullopt;
  return covering(std::prev(above)->fde, address);
}

}  // namespace coppice::inspect::worker

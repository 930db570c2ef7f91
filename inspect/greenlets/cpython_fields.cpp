#include "inspect/greenlets/cpython_fields.hpp"

#include <cstring>

namespace coppice::inspect {
namespace {

constexpr std::uint64_t tp_name = 0x18;
constexpr std::uint64_t tp_base = 0x100;
constexpr int most_bases = 64;
constexpr std::size_t longest_name = 256;

/// One word of a copied structure; 0 when the offset is 0 or beyond what could be read.
std::uint64_t word(std::span<const std::byte> bytes, std::uint16_t offset) {
  std::uint64_t value = 0;
  if (offset != 0 && offset + sizeof value <= bytes.size()) {
    std::memcpy(&value, bytes.data() + offset, sizeof value);
  }
  return value;
}

GreenletFields decode(const GreenletExtension& extension, const GreenletLayout& layout, Address place,
                      std::span<const std::byte> bytes) {
  GreenletFields fields;
  std::uint64_t first = 0;  // the vtable; flat: the reference count
  if (bytes.size() < layout.size()) return fields;
  std::memcpy(&first, bytes.data(), sizeof first);
  fields.pimpl = place;
  fields.object = layout.flat() ? place : word(bytes, layout.self);
  fields.start = word(bytes, layout.start);
  fields.stop = word(bytes, layout.stop());
  fields.copy = word(bytes, layout.copy());
  fields.saved = word(bytes, layout.saved());
  fields.top_frame = word(bytes, layout.top_frame);
  fields.current_frame = word(bytes, layout.current_frame);
  fields.previous_frame = word(bytes, layout.previous_frame);
  fields.run_info = word(bytes, layout.run_info);
  if (layout.flat()) {
    constexpr std::uint64_t most_references = UINT32_MAX;
    if (first == 0 || first > most_references) fields.object = 0;  // freed meanwhile
    fields.type = word(bytes, layout.type);
    fields.main = fields.stop == UINT64_MAX;
    fields.parent = word(bytes, layout.parent);
    return fields;
  }
  fields.main = first == extension.main_vtable;
  const bool known =
      fields.main || first == extension.user_vtable || (first != 0 && first == extension.broken_vtable);
  if (!known) fields.object = 0;
  if (fields.main) {
    fields.main_greenlet = fields.object;
    fields.thread_state = word(bytes, layout.thread_state);
  } else {
    fields.main_greenlet = word(bytes, layout.main);
    fields.parent = word(bytes, layout.parent);
  }
  return fields;
}

}  // namespace

const GreenletTypes::Entry& GreenletTypes::look_up(Address type) {
  const auto [found, added] = types_.try_emplace(type);
  Entry& entry = found->second;
  if (!added) return entry;
  Address at = type;
  for (int i = 0; i < most_bases && at != 0 && !entry.greenlet; ++i) {
    if (at == base_) {
      entry.greenlet = true;
    } else {
      const auto next = memory_.read_value<Address>(at + tp_base + shift_);
      at = next.ok() ? *next : 0;
    }
  }
  if (!entry.greenlet) return entry;
  const auto name = memory_.read_value<Address>(type + tp_name + shift_);
  if (!name.ok()) return entry;
  const auto text = memory_.read_string(*name, longest_name);
  if (text.ok()) entry.name = *text;
  return entry;
}

void GreenletFieldReader::read(std::span<const Address> places, std::vector<GreenletFields>& into) {
  into.clear();
  bodies_.clear();
  for (const Address place : places) bodies_.add(place, layout_.size());
  bodies_.read();
  for (std::size_t i = 0; i < places.size(); ++i) {
    into.push_back(decode(extension_, layout_, places[i], bodies_.bytes(i)));
  }
  if (!layout_.flat()) {
    objects_.clear();
    for (const GreenletFields& fields : into) objects_.add(fields.object, layout_.pimpl + sizeof(Address));
    objects_.read();
    for (std::size_t i = 0; i < into.size(); ++i) {
      const std::span<const std::byte> object = objects_.bytes(i);
      into[i].type = word(object, layout_.type);
      if (word(object, layout_.pimpl) != into[i].pimpl) into[i].object = 0;
    }
  }
  for (GreenletFields& fields : into) {
    if (fields.object != 0 && !types_.is_greenlet(fields.type)) fields.object = 0;
  }
}

}  // namespace coppice::inspect

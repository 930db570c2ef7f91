#include "inspect/unwind/rule_cache.hpp"

#include <functional>
#include <utility>

namespace coppice::inspect {
namespace {

constexpr unsigned smallest_bits = 12;

std::size_t mix(std::size_t seed, std::uint64_t value) noexcept {
  return (seed ^ value) * 0x9e3779b97f4a7c15U + (seed >> 29);
}

}  // namespace

RuleCache::RuleCache() {
  resize(smallest_bits);
}

std::size_t RuleCache::FileKeyHash::operator()(const FileKey& key) const noexcept {
  return mix(mix(key.file, key.offset), key.exact ? 1 : 2);
}

std::size_t RuleCache::RuleHash::operator()(const Rule& rule) const noexcept {
  std::size_t hash = mix(static_cast<std::size_t>(rule.status), static_cast<std::uint64_t>(rule.offset));
  hash = mix(hash, static_cast<std::uint64_t>(rule.slot) << 16 | rule.cfa_register);
  hash = mix(hash, rule.changed);
  for (const Place place : rule.places)
    hash = mix(hash, static_cast<std::uint64_t>(place.n()) << 3 | static_cast<unsigned>(place.kind()));
  return hash;
}

bool RuleCache::bind(const PcKey& pc, const FileKey& file) {
  const auto known = by_file_.find(file);
  if (known == by_file_.end()) return false;
  insert(pc, known->second);
  return true;
}

void RuleCache::add(const PcKey& pc, const FileKey* file, const Rule& rule) {
  Rule prepared = rule;
  prepare(prepared);
  const auto [number, is_new] = numbers_.try_emplace(prepared, static_cast<std::uint32_t>(rules_.size()));
  if (is_new) rules_.push_back(prepared);
  if (file != nullptr) by_file_.insert_or_assign(*file, number->second);
  insert(pc, number->second);
}

void RuleCache::clear_pcs() {
  slots_.clear();
  used_ = 0;
  resize(smallest_bits);
}

void RuleCache::trim() {
  constexpr std::size_t most = std::size_t{1} << 20;
  if (used_ < most && by_file_.size() < most) return;
  clear_pcs();
  rules_.clear();
  numbers_.clear();
  by_file_.clear();
}

void RuleCache::resize(unsigned bits) {
  std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(std::size_t{1} << bits));
  mask_ = slots_.size() - 1;
  shift_ = 64 - bits;
  used_ = 0;
  for (const Slot& slot : old) {
    if (slot.use != Use::empty) insert({slot.pc, slot.use == Use::exact}, slot.rule);
  }
}

void RuleCache::insert(const PcKey& key, std::uint32_t rule) {
  if (used_ * 2 >= slots_.size()) resize(64 - shift_ + 1);
  std::size_t at = home(key);
  while (slots_[at].use != Use::empty && !(slots_[at].pc == key.pc && slots_[at].use == use_of(key)))
    at = (at + 1) & mask_;
  if (slots_[at].use == Use::empty) ++used_;
  slots_[at] = {key.pc, rule, use_of(key)};
}

}  // namespace coppice::inspect

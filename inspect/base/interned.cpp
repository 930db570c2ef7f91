#include "inspect/base/interned.hpp"

#include <mutex>
#include <unordered_set>

namespace coppice::inspect {
namespace {

/// The one copy of a text; a set's elements never move.
std::string_view keep(std::string_view text) {
  if (text.empty()) return {};
  static std::mutex mutex;
  static auto& kept = *new std::unordered_set<std::string>;  // outlives every static object that uses it
  const std::lock_guard lock(mutex);
  return *kept.emplace(text).first;
}

}  // namespace

Interned::Interned(std::string_view text) : std::string_view(keep(text)) {}

}  // namespace coppice::inspect

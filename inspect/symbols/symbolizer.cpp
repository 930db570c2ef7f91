#include "inspect/symbols/symbolizer.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "inspect/base/printable.hpp"
#include "inspect/worker/symbolize_protocol.hpp"
#include "inspect/worker/worker.hpp"

namespace coppice::inspect {
namespace {

using worker::FileId;
using worker::MessageKind;

constexpr std::size_t kMaxAddressesARequest = 4096;
/// Answers that travel together while nothing goes wrong; afterwards each travels alone, so that blame is
/// exact.
constexpr std::uint16_t kBatch = 64;
/// Addresses of one module that may kill the worker before the module is read less deeply.
constexpr int kMaxCrashes = 2;

constexpr std::size_t index_of(DebugDepth depth) {
  return static_cast<std::size_t>(depth);
}

struct Entry {
  SymbolizedAddress address;
  std::optional<DebugDepth> named;          ///< answered, or given up for good, when asked for so deep
  DebugDepth wanted = DebugDepth::symbols;  ///< the deepest that was asked for

  bool enough_for(DebugDepth depth) const { return named && index_of(*named) <= index_of(depth); }
};

struct NamedModule {
  std::string title;  ///< for warnings
  FileId image = worker::no_file, debug = worker::no_file, alternate = worker::no_file;
  std::uint64_t bias = 0;
  bool prepared = false;                             ///< companions have been looked for
  bool warned = false;                               ///< that it cannot be opened
  std::array<int, 2> crashes{};                      ///< by DebugDepth
  std::array<bool, 2> given_up{};                    ///< by DebugDepth: not to be asked any more
  std::unordered_map<std::uint64_t, Entry> entries;  ///< by offset
  std::array<std::vector<Entry*>, 2> pending;        ///< by DebugDepth
};

}  // namespace

struct Symbolizer::Impl {
  Impl(Worker& the_worker, Options chosen) : worker(the_worker), options(chosen) {}

  NamedModule& named_module(const Target& target, const Module& module);
  const SymbolizedAddress* find_or_queue(const Target& target, Address pc, DebugDepth depth);
  void name_pending(const Target& target, const Module& module, NamedModule& named);
  bool find_files(const Target& target, const Module& module, NamedModule& named);
  std::optional<DebugLinks> ask_links(NamedModule& named, FileId file);
  FileId open_companion(const Target& target, const Module& module, const std::string& build_id,
                        const std::string& link);
  bool name_at_depth(NamedModule& named, DebugDepth depth, std::vector<Entry*>& entries);
  Result<Worker::Outcome> ask(NamedModule& named, DebugDepth depth, std::span<Entry* const> entries,
                              std::uint16_t batch, std::size_t& answered);
  void warn(const NamedModule& named, const std::string& what) {
    warnings.push_back(named.title + ": " + what);
  }

  Worker& worker;
  Options options;
  std::unordered_map<std::string, NamedModule> modules;  // by identity
  std::unordered_map<Address, SymbolizedAddress> outside_of_modules;
  std::vector<std::string> warnings;

  // Of one call: addresses come in many thousands and repeat.
  std::array<std::unordered_map<Address, const SymbolizedAddress*>, 2> seen;  // by DebugDepth
  std::unordered_map<const Module*, NamedModule*> met;
};

NamedModule& Symbolizer::Impl::named_module(const Target& target, const Module& module) {
  NamedModule*& known = met[&module];
  if (known) return *known;
  auto image = worker.image(target, module);  // gives the module its identity
  const std::string key =
      module.identity.empty() ? module.path + '@' + std::to_string(module.start) : module.identity;
  known = &modules[key];
  known->bias = module.bias;
  known->title = printable(module.path.empty() ? "a module without a path" : module.path);
  if (image.ok()) {
    known->image = *image;
  } else if (!std::exchange(known->warned, true)) {
    warn(*known, "no names: " + image.error().message);
  }
  return *known;
}

const SymbolizedAddress* Symbolizer::Impl::find_or_queue(const Target& target, Address pc, DebugDepth depth) {
  const Module* module = target.module_at(pc);
  if (!module)
    return &outside_of_modules.try_emplace(pc, SymbolizedAddress{nullptr, 0, {SourceFrame{}}}).first->second;
  NamedModule& named = named_module(target, *module);
  const std::uint64_t offset = pc - module->bias;
  Entry& entry = named.entries.try_emplace(offset).first->second;
  entry.address.module = module;
  if (!entry.enough_for(depth)) {
    entry.address.offset = offset;
    if (entry.address.frames.empty()) entry.address.frames.resize(1);
    if (depth == DebugDepth::full) entry.wanted = depth;
    named.pending[index_of(entry.wanted)].push_back(&entry);
  }
  return &entry.address;
}

std::optional<DebugLinks> Symbolizer::Impl::ask_links(NamedModule& named, FileId file) {
  worker::BodyWriter body;
  body.put(file);
  std::optional<DebugLinks> links;
  auto outcome =
      worker.ask({.kind = MessageKind::debug_links,
                  .body = body.bytes(),
                  .files = {&file, 1},
                  .batch = 1,
                  .item_cpu_ms = options.address_cpu_ms},
                 [&](std::span<const std::byte> answer) { links = worker::read_debug_links(answer); });
  if (!outcome.ok()) {
    warn(named, outcome.error().message);
  } else if (!links) {
    named.given_up = {true, true};
    warn(named, "its ELF headers could not be read: addresses are shown as offsets");
  }
  return links;
}

FileId Symbolizer::Impl::open_companion(const Target& target, const Module& module,
                                        const std::string& build_id, const std::string& link) {
  if (build_id.empty() && link.empty()) return worker::no_file;
  auto file = target.open_debug_file(module, build_id, link);
  return file.ok() ? worker.adopt(std::move(*file)) : worker::no_file;
}

// False when the worker could not even be asked.
bool Symbolizer::Impl::find_files(const Target& target, const Module& module, NamedModule& named) {
  if (named.prepared || named.given_up[index_of(DebugDepth::symbols)]) return true;
  auto links = ask_links(named, named.image);
  if (!links) return named.given_up[index_of(DebugDepth::symbols)];
  named.prepared = true;
  if (!links->has_dwarf || !links->has_symtab) {
    named.debug = open_companion(target, module, links->build_id, links->debug_link);
  }
  if (!links->has_dwarf && named.debug != worker::no_file) {
    links = ask_links(named, named.debug);
    if (!links) worker.release(std::exchange(named.debug, worker::no_file));
    named.given_up = {};  // the image itself was fine
  }
  if (links && !links->alternate_link.empty()) {
    named.alternate = open_companion(target, module, links->alternate_build_id, links->alternate_link);
  }
  return true;
}

Result<Worker::Outcome> Symbolizer::Impl::ask(NamedModule& named, DebugDepth depth,
                                              std::span<Entry* const> entries, std::uint16_t batch,
                                              std::size_t& answered) {
  worker::SymbolizeRequest request{depth, named.image, named.debug, named.alternate, named.bias, {}};
  for (const Entry* entry : entries) request.addresses.push_back(entry->address.offset);
  worker::BodyWriter body;
  write(body, request);
  std::vector<FileId> files{named.image};
  for (const auto companion : {named.debug, named.alternate}) {
    if (companion != worker::no_file) files.push_back(companion);
  }
  bool nonsense = false;
  auto outcome = worker.ask({.kind = MessageKind::symbolize,
                             .body = body.bytes(),
                             .files = files,
                             .batch = batch,
                             .item_cpu_ms = options.address_cpu_ms},
                            [&](std::span<const std::byte> bytes) {
                              auto answer = worker::read_symbolize_answer(bytes);
                              nonsense = nonsense || !answer || answered == entries.size();
                              if (nonsense) return;
                              Entry& entry = *entries[answered++];
                              entry.named = entry.wanted;
                              if (!answer->frames.empty()) entry.address.frames = std::move(answer->frames);
                              for (const auto& warning : answer->warnings) warn(named, warning);
                            });
  const bool complete = outcome.ok() && *outcome == Worker::Outcome::complete;
  if (complete && (nonsense || answered != entries.size())) return Worker::Outcome::crashed;
  return outcome;
}

// Names entries as deeply as this and leaves those that it could not. False when the worker could not even be
// asked.
bool Symbolizer::Impl::name_at_depth(NamedModule& named, DebugDepth depth, std::vector<Entry*>& entries) {
  const bool full = depth == DebugDepth::full;
  const auto give_up = [&](const std::string& why) {
    named.given_up[index_of(depth)] = true;
    warn(named, (full ? "its debug information " : "its symbol tables ") + why +
                    (full ? ": names come from symbol tables only" : ": addresses are shown as offsets"));
  };
  std::vector<Entry*> left;
  std::span<Entry*> rest(entries);
  std::uint16_t batch = kBatch;
  while (!rest.empty() && !named.given_up[index_of(depth)]) {
    std::size_t answered = 0;
    auto outcome =
        ask(named, depth, rest.first(std::min(rest.size(), kMaxAddressesARequest)), batch, answered);
    rest = rest.subspan(answered);
    if (!outcome.ok()) {
      warn(named, outcome.error().message);
      return false;
    }
    if (*outcome == Worker::Outcome::stalled) {
      give_up("took too long to read");
    } else if (*outcome == Worker::Outcome::crashed && std::exchange(batch, 1) == 1 && !rest.empty()) {
      left.push_back(rest.front());
      rest = rest.subspan(1);
      if (++named.crashes[index_of(depth)] < kMaxCrashes) {
        warn(named, fmt::format("the reader crashed on its {} at {:#x}",
                                full ? "debug information" : "symbol tables", left.back()->address.offset));
      } else {
        give_up("crashed the reader again");
      }
    }
  }
  left.insert(left.end(), rest.begin(), rest.end());
  entries = std::move(left);
  return true;
}

void Symbolizer::Impl::name_pending(const Target& target, const Module& module, NamedModule& named) {
  auto [entries, shallow] = std::exchange(named.pending, {});
  if (entries.empty() && shallow.empty()) return;
  if (named.image == worker::no_file || !find_files(target, module, named)) return;
  if (!name_at_depth(named, DebugDepth::full, entries)) return;  // asked again next time
  // Those that debug information could not name, and those of which symbols are enough.
  std::erase_if(shallow, [](const Entry* entry) { return entry->wanted == DebugDepth::full; });
  entries.insert(entries.end(), shallow.begin(), shallow.end());
  if (!name_at_depth(named, DebugDepth::symbols, entries)) return;
  for (Entry* entry : entries) entry->named = entry->wanted;  // and there is nothing to name it by
}

Symbolizer::Symbolizer(Worker& worker) : Symbolizer(worker, Options{}) {}
Symbolizer::Symbolizer(Worker& worker, Options options) : impl_(std::make_unique<Impl>(worker, options)) {}
Symbolizer::~Symbolizer() = default;

std::vector<const SymbolizedAddress*> Symbolizer::symbolize(const Target& target,
                                                            std::span<const SymbolQuery> queries) {
  std::vector<const SymbolizedAddress*> answers;
  answers.reserve(queries.size());
  for (const auto& query : queries) {
    const Address pc = query.exact ? query.pc : query.pc - 1;
    const SymbolizedAddress*& answer = impl_->seen[index_of(query.depth)][pc];
    if (!answer) answer = impl_->find_or_queue(target, pc, query.depth);
    answers.push_back(answer);
  }
  for (const auto& [module, named] : impl_->met) impl_->name_pending(target, *module, *named);
  for (auto& seen : impl_->seen) seen.clear();
  impl_->met.clear();
  return answers;
}

std::vector<std::string> Symbolizer::take_warnings() {
  return std::exchange(impl_->warnings, {});
}

}  // namespace coppice::inspect

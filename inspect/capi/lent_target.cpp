#include "inspect/capi/lent_target.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include <fmt/format.h>

#include "inspect/base/files.hpp"
#include "inspect/capi/lent_modules.hpp"
#include "inspect/target/debug_files.hpp"
#include "inspect/target/image.hpp"

namespace coppice::inspect {
namespace {

constexpr std::uint64_t most_threads = 1'000'000;
constexpr std::uint64_t most_auxv = 1'000;
constexpr std::uint64_t most_mappings = 10'000'000;

static_assert(CPI_REGISTERS == x86_64::register_count);

std::string text_or_empty(const char* text) {
  return text != nullptr ? text : "";
}

ThreadRegisters registers_of(const cpi_thread& thread) {
  ThreadRegisters result;
  for (unsigned n = 0; n < CPI_REGISTERS; ++n) {
    if ((thread.known >> n & 1) != 0) result.registers.set(n, thread.registers[n]);
  }
  constexpr std::uint32_t all = (1U << CPI_REGISTERS) - 1;
  result.complete = (thread.known & all) == all;
  return result;
}

Mapping mapping_of(const cpi_mapping& given) {
  Mapping mapping;
  mapping.start = given.start;
  mapping.end = given.end;
  mapping.readable = (given.access & CPI_READABLE) != 0;
  mapping.writable = (given.access & CPI_WRITABLE) != 0;
  mapping.executable = (given.access & CPI_EXECUTABLE) != 0;
  mapping.file_offset = given.file_offset;
  mapping.path = text_or_empty(given.path);
  return mapping;
}

/// In order, and none within another: what readers rely on.
std::vector<Mapping> mappings_of(std::span<const cpi_mapping> given) {
  std::vector<Mapping> mappings(given.size());
  std::ranges::transform(given, mappings.begin(), mapping_of);
  std::erase_if(mappings, [](const Mapping& mapping) { return mapping.start >= mapping.end; });
  std::ranges::sort(mappings, {}, &Mapping::start);
  const auto overlap = [](const Mapping& one, const Mapping& next) { return next.start < one.end; };
  mappings.erase(std::unique(mappings.begin(), mappings.end(), overlap), mappings.end());
  return mappings;
}

bool makes_sense(const cpi_picture& picture) {
  return picture.thread_count <= most_threads && picture.auxv_count <= most_auxv &&
         picture.mapping_count <= most_mappings &&
         (picture.thread_count == 0 || picture.threads != nullptr) &&
         (picture.auxv_count == 0 || picture.auxv != nullptr) &&
         (picture.mapping_count == 0 || picture.mappings != nullptr);
}

}  // namespace

Result<void> LentTarget::set(const cpi_picture& lent) {
  cpi_picture picture{};  // of a lender who knows fewer fields the others are zero
  const bool whole = lent.size >= offsetof(cpi_picture, mappings);
  if (whole) std::memcpy(&picture, &lent, std::min<std::uint64_t>(lent.size, sizeof picture));
  if (!whole || !makes_sense(picture)) {
    return Error{ErrorCode::bad_argument, 0, "the debugger's picture of the target makes no sense"};
  }
  pid_ = picture.pid;
  executable_ = text_or_empty(picture.executable);
  command_line_ = text_or_empty(picture.command_line);
  core_ = text_or_empty(picture.core);
  search_.executable = executable_;
  search_.sysroot = text_or_empty(picture.sysroot);

  const std::span given(picture.threads, picture.thread_count);
  std::vector<const cpi_thread*> sorted(given.size());
  std::ranges::transform(given, sorted.begin(), [](const cpi_thread& thread) { return &thread; });
  std::ranges::sort(sorted, {}, &cpi_thread::tid);
  threads_.clear();
  registers_.clear();
  for (const cpi_thread* thread : sorted) {
    const std::string name(thread->name, strnlen(thread->name, sizeof thread->name));
    threads_.push_back({thread->tid, std::nullopt, name, thread->known == 0});
    registers_.push_back(registers_of(*thread));
  }
  mappings_ = mappings_of({picture.mappings, picture.mapping_count});
  memory_.forget();
  find_modules_again({picture.auxv, picture.auxv_count});
  return {};
}

void LentTarget::find_modules_again(std::span<const cpi_auxv> auxv) {
  const std::vector<Module> before = std::move(modules_);
  LentModules found = find_lent_modules(memory_, auxv, executable_);
  modules_ = std::move(found.modules);
  warnings_ = std::move(found.warnings);
  for (Module& module : modules_) {
    const auto same = std::ranges::find_if(before, [&](const Module& m) {
      return m.start == module.start && m.end == module.end && m.path == module.path &&
             m.build_id == module.build_id && !m.build_id.empty();
    });
    if (same != before.end()) module.identity = same->identity;
  }
}

Result<ThreadRegisters> LentTarget::registers(pid_t tid, Stopping /*stopping*/) const {
  const auto found = std::ranges::lower_bound(threads_, tid, {}, &Thread::tid);
  if (found == threads_.end() || found->tid != tid) {
    return Error{ErrorCode::gone, 0, fmt::format("the debugger knows no thread {}", tid)};
  }
  const ThreadRegisters& known = registers_[static_cast<std::size_t>(found - threads_.begin())];
  if (!known.registers.known(x86_64::rip) || !known.registers.known(x86_64::rsp)) {
    return Error{ErrorCode::not_stopped, 0, fmt::format("thread {} is running", tid)};
  }
  return known;
}

Result<UniqueFd> LentTarget::open_file(const Module& module) const {
  for (const std::string& prefix : {search_.sysroot, std::string()}) {
    if (!module.path.starts_with('/')) break;
    auto file = open_regular_at(AT_FDCWD, prefix + module.path);
    // Without a build-id nothing proves that the file is the one that runs: memory is the truth then.
    if (file.ok() && !module.build_id.empty() && file_build_id(file->get()) == module.build_id) return file;
  }
  return Error{ErrorCode::no_file, module.start,
               fmt::format("no file at {} is the one that runs", module.path.empty() ? "?" : module.path)};
}

Result<UniqueFd> LentTarget::open_image(const Module& module) const {
  const auto own = std::ranges::lower_bound(modules_, module.start, {}, &Module::start);
  if (own == modules_.end() || own->start != module.start) {
    return Error{ErrorCode::bad_argument, module.start, "no such module in the target"};
  }
  bool from_memory = false;
  auto image = open_file(*own);
  if (!image.ok()) {
    from_memory = true;
    image = image_from_memory(*own, memory_);
  }
  if (image.ok() && own->identity.empty()) own->identity = image_identity(image->get(), from_memory);
  return image;
}

Result<UniqueFd> LentTarget::open_debug_file(const Module& module, const std::string& build_id,
                                             const std::string& debug_link) const {
  return find_debug_file(module, build_id, debug_link, search_, "");
}

}  // namespace coppice::inspect

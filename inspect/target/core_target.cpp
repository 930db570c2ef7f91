#include "inspect/target/core_target.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>

#include <fmt/format.h>

#include "inspect/base/files.hpp"
#include "inspect/target/core_layout.hpp"
#include "inspect/target/debug_files.hpp"
#include "inspect/target/elf_reader.hpp"
#include "inspect/target/image.hpp"
#include "inspect/target/link_map.hpp"

namespace coppice::inspect {

namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint32_t kMostSegments = 1 << 22;
constexpr std::size_t kMostWarnings = 200;
constexpr std::uint64_t kLargestImage = std::uint64_t{1} << 30;
constexpr std::string_view kDeleted = " (deleted)";

std::uint64_t page_down(std::uint64_t value) {
  return value & ~(kPage - 1);
}

/// How systemd-coredump and others pack cores; empty for anything else.
std::string unpacking_tool(const Memory& file) {
  const auto word = file.read_value<std::uint32_t>(0);
  if (!word.ok()) return {};
  if (*word == 0xfd2fb528) return "zstd -d";
  if (*word == 0x184d2204) return "lz4 -d";
  if (*word == 0x587a37fd) return "xz -d";
  if ((*word & 0xffff) == 0x8b1f) return "gunzip";
  return {};
}

/// The headers of a core, or why it is none.
Result<ElfHeaders> read_core_headers(const Memory& file, std::uint64_t size, const std::string& path) {
  const auto not_a_core = [&](const std::string& why) {
    return Error{ErrorCode::not_a_core, 0, fmt::format("{} is not a core: {}", path, why)};
  };
  if (const std::string tool = unpacking_tool(file); !tool.empty()) {
    return not_a_core(fmt::format("it is compressed; unpack it first ({})", tool));
  }
  auto elf = read_elf_headers(file, 0, kMostSegments);
  if (!elf.ok()) {
    std::array<char, SELFMAG> magic{};
    const bool begins_well = file.read(0, std::as_writable_bytes(std::span(magic))).ok() &&
                             std::memcmp(magic.data(), ELFMAG, SELFMAG) == 0;
    if (elf.error().code == ErrorCode::unreadable && begins_well) {
      return Error{ErrorCode::truncated, size,
                   fmt::format("{} is cut short at offset 0x{:x}, before any of its contents", path, size)};
    }
    return not_a_core(size == 0 ? "it is empty" : elf.error().message);
  }
  if (elf->header.e_type != ET_CORE) {
    return not_a_core(elf->header.e_type == ET_EXEC || elf->header.e_type == ET_DYN
                          ? "it is a program or library"
                          : "it is another kind of ELF file");
  }
  if (elf->header.e_machine != EM_X86_64) return not_a_core("it is of another machine than x86-64");
  return elf;
}

/// Can all that the program does not write to be read? Then memory alone makes a whole image.
bool has_all_constant_bytes(const Module& module, const Memory& memory) {
  std::array<std::byte, kPage> page;
  for (const Segment& segment : module.segments) {
    if (segment.writable) continue;
    if (segment.file_size > kLargestImage) return false;
    for (std::uint64_t at = 0; at < segment.file_size; at += kPage) {
      const std::size_t wanted = static_cast<std::size_t>(std::min(kPage, segment.file_size - at));
      if (memory.read_some(segment.vaddr + module.bias + at, std::span(page).first(wanted)) != wanted)
        return false;
    }
  }
  return true;
}

/// Constant segments are the file's, where they were mapped. So are written ones that the core does not have,
/// if it has written memory at all: then they are missing because the program never wrote to them.
void append_file_extents(const Module& module, const FileMemory& file, bool has_written_memory,
                         std::span<const MappedRange> ranges, std::vector<CoreMemory::Extent>& extents) {
  for (const Segment& segment : module.segments) {
    if (segment.writable && !has_written_memory) continue;
    const Address start = page_down(segment.vaddr) + module.bias;
    const std::uint64_t offset = page_down(segment.file_offset);
    Address end = segment.vaddr + segment.file_size + module.bias;
    if (!segment.writable) end = page_down(end + kPage - 1);  // pages are mapped whole
    if (offset >= file.size() || end <= start) continue;
    end = std::min({end, start + (file.size() - offset), module.end});
    auto range =
        std::ranges::upper_bound(ranges, start, {}, [](const MappedRange& r) { return r.mapping.end; });
    for (; range != ranges.end() && range->mapping.start < end; ++range) {
      const Address from = std::max(start, range->mapping.start);
      extents.push_back({from, std::min(end, range->mapping.end), &file, offset + (from - start)});
    }
  }
}

}  // namespace

CoreTarget::CoreTarget(std::unique_ptr<const Memory> file, std::string path, FileSearch search,
                       OpenFile open_file)
    : file_(std::move(file)),
      path_(std::move(path)),
      search_(std::move(search)),
      files_(search_, std::move(open_file)) {}

Result<std::unique_ptr<Target>> CoreTarget::open(std::unique_ptr<const Memory> file, std::uint64_t size,
                                                 const std::string& path, FileSearch search,
                                                 OpenFile open_file) {
  auto elf = read_core_headers(*file, size, path);
  if (!elf.ok()) return std::move(elf).error();
  auto target = std::unique_ptr<CoreTarget>(
      new CoreTarget(std::move(file), path, std::move(search), std::move(open_file)));
  target->notes_ = read_core_notes(elf->segments, *target->file_);
  CoreNotes& notes = target->notes_;
  CoreLayout layout = lay_out_core(elf->segments, notes, *target->file_, size);
  if (layout.extents.empty() && notes.threads.empty()) {
    return Error{ErrorCode::truncated, size,
                 fmt::format("{} has neither threads nor memory in its 0x{:x} bytes", path, size)};
  }
  target->warn(notes.warnings);
  target->warn(layout.warnings);
  target->memory_ = CoreMemory(std::move(layout.extents));
  target->ranges_ = std::move(layout.ranges);
  for (const CoreThread& thread : notes.threads) {
    target->threads_.push_back(
        {thread.tid, thread.tid, thread.tid == notes.pid ? notes.name : std::string(), false});
  }
  target->fill_missing_heads();
  target->find_all_modules(layout.has_written_memory);
  for (const MappedRange& range : target->ranges_) target->mappings_.push_back(range.mapping);
  target->warn(target->files_.take_warnings());
  return std::unique_ptr<Target>(std::move(target));
}

void CoreTarget::warn(const std::vector<std::string>& more) {
  for (const std::string& text : more) {
    if (warnings_.size() < kMostWarnings) warnings_.push_back(text);
  }
}

bool CoreTarget::is_main(const Module& module) const {
  return module.contains(notes_.auxiliary_value(AT_ENTRY)) ||
         module.contains(notes_.auxiliary_value(AT_PHDR));
}

/// The first page of every ELF file is in a core by default. Where the filter left it out, it is taken from
/// the file, on nothing but the path's word, and that is said.
void CoreTarget::fill_missing_heads() {
  std::vector<CoreMemory::Extent> heads;
  for (const MappedRange& range : ranges_) {
    const Mapping& mapping = range.mapping;
    if (!mapping.path.starts_with('/') || mapping.file_offset != 0) continue;
    if (memory_.extent_at(mapping.start) != nullptr) continue;
    const FileMemory* file = files_.open_unproven(mapping.path);
    if (file == nullptr) continue;
    heads.push_back(
        {mapping.start, mapping.start + std::min(mapping.end - mapping.start, file->size()), file, 0});
    warn({fmt::format("the core lacks the first page of {}: the file of that name is taken without proof",
                      mapping.path)});
  }
  memory_.fill(heads);
}

void CoreTarget::find_all_modules(bool has_written_memory) {
  const bool has_paths = !notes_.files.empty();
  modules_ = find_modules(ranges_, memory_, has_paths ? Unnamed::skip : Unnamed::include);
  if (!has_paths) name_modules_without_paths();
  std::vector<CoreMemory::Extent> from_files;
  for (Module& module : modules_) {
    const bool main_program = is_main(module);
    if (module.path.ends_with(kDeleted)) module.path.resize(module.path.size() - kDeleted.size());
    if (main_program) executable_ = module.path;
    if (module.path == "[vdso]") continue;
    auto file = files_.find(module, memory_, main_program);
    module.deleted = !file.ok();
    if (file.ok()) append_file_extents(module, **file, has_written_memory, ranges_, from_files);
    module_files_.emplace(module.start, std::move(file));
  }
  memory_.fill(from_files);
  if (executable_.empty()) {
    auto name = memory_.read_string(notes_.auxiliary_value(AT_EXECFN), PATH_MAX);
    if (name.ok()) executable_ = std::move(*name);
  }
}

void CoreTarget::name_modules_without_paths() {
  const auto names =
      read_link_map(memory_, notes_.auxiliary_value(AT_PHDR), notes_.auxiliary_value(AT_PHNUM));
  for (Module& module : modules_) {
    if (!module.path.empty()) continue;
    const auto named = names.find(module.bias);
    if (named != names.end()) {
      module.path = named->second;
    } else if (is_main(module)) {
      auto name = memory_.read_string(notes_.auxiliary_value(AT_EXECFN), PATH_MAX);
      if (name.ok()) module.path = std::move(*name);
    }
  }
}

Result<ThreadRegisters> CoreTarget::registers(pid_t tid, Stopping /*stopping*/) const {
  const auto thread = std::ranges::lower_bound(notes_.threads, tid, {}, &CoreThread::tid);
  if (thread == notes_.threads.end() || thread->tid != tid) {
    return Error{ErrorCode::bad_argument, 0, fmt::format("the core has no thread {}", tid)};
  }
  return ThreadRegisters{thread->registers, true};
}

Result<UniqueFd> CoreTarget::open_image(const Module& module) const {
  const auto own = std::ranges::lower_bound(modules_, module.start, {}, &Module::start);
  if (own == modules_.end() || own->start != module.start) {
    return Error{ErrorCode::bad_argument, module.start, "no such module in the target"};
  }
  Result<UniqueFd> image = Error{ErrorCode::no_file, module.start, "no file for " + own->path};
  bool from_memory = false;
  const auto found = module_files_.find(module.start);
  if (found != module_files_.end() && found->second.ok()) {
    // Opened again, so that whoever gets it has a file position of his own.
    image = open_regular_at(AT_FDCWD, fmt::format("/proc/self/fd/{}", (*found->second)->fd()));
  } else if (has_all_constant_bytes(*own, memory_)) {
    from_memory = true;
    image = image_from_memory(*own, memory_);
  } else if (found != module_files_.end()) {
    image = found->second.error();
  }
  if (image.ok() && own->identity.empty()) own->identity = image_identity(image->get(), from_memory);
  return image;
}

Result<UniqueFd> CoreTarget::open_debug_file(const Module& module, const std::string& build_id,
                                             const std::string& debug_link) const {
  return find_debug_file(module, build_id, debug_link, search_, search_.sysroot);
}

Result<std::unique_ptr<Target>> open_core(const std::string& path, FileSearch search) {
  auto file = open_regular_at(AT_FDCWD, path);
  if (!file.ok()) return std::move(file).error();
  auto memory = std::make_unique<FileMemory>(std::move(*file));
  const std::uint64_t size = memory->size();
  return CoreTarget::open(std::move(memory), size, path, std::move(search),
                          [](const std::string& name) { return open_regular_at(AT_FDCWD, name); });
}

}  // namespace coppice::inspect

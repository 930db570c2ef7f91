#include "inspect/capi/lent_modules.hpp"

#include <elf.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "inspect/target/elf_reader.hpp"

namespace coppice::inspect {
namespace {

constexpr std::uint32_t most_segments = 512;
constexpr std::size_t most_modules = 10'000;
constexpr std::size_t most_dynamic_entries = 4'096;
constexpr std::size_t longest_path = 4'096;
constexpr std::uint64_t largest_module = std::uint64_t{1} << 40;
constexpr Address page_mask = ~Address{4095};

/// <link.h>'s r_debug as it lies in a 64-bit target; `next` exists from version 2 on (further dlmopen
/// namespaces).
struct RemoteDebug {
  std::int32_t version;
  std::int32_t padding;
  std::uint64_t map;
  std::uint64_t brk;
  std::uint64_t state;
  std::uint64_t loader_base;
  std::uint64_t next;
};

/// The public part of <link.h>'s link_map.
struct RemoteLinkMap {
  std::uint64_t bias;
  std::uint64_t name;
  std::uint64_t dynamic;
  std::uint64_t next;
  std::uint64_t previous;
};

/// A module and what only its discovery needs.
struct Found {
  Module module;
  Address dynamic = 0;  ///< runtime address of PT_DYNAMIC, 0 without one
};

/// The module whose ELF header is mapped at `address`. Empty when there is none that could have been loaded.
std::optional<Found> read_module(const Memory& memory, Address address) {
  const auto elf = read_elf_headers(memory, address, most_segments);
  if (!elf.ok()) return {};
  // The header is the file's first byte, so the segment that holds file offset 0 tells the bias.
  const auto first = std::ranges::find_if(
      elf->segments, [](const Elf64_Phdr& p) { return p.p_type == PT_LOAD && p.p_offset < 4096; });
  if (first == elf->segments.end()) return {};
  Found found;
  Module& module = found.module;
  module.bias = address - (first->p_vaddr - first->p_offset);
  std::uint64_t low = UINT64_MAX;
  std::uint64_t high = 0;
  for (const auto& segment : elf->segments) {
    if (segment.p_type == PT_DYNAMIC) found.dynamic = module.bias + segment.p_vaddr;
    if (segment.p_type != PT_LOAD || segment.p_memsz == 0) continue;
    if (segment.p_memsz > largest_module || segment.p_vaddr > UINT64_MAX - segment.p_memsz - 4095) return {};
    low = std::min(low, segment.p_vaddr & page_mask);
    high = std::max(high, (segment.p_vaddr + segment.p_memsz + 4095) & page_mask);
    module.segments.push_back({segment.p_vaddr, segment.p_memsz, segment.p_offset, segment.p_filesz,
                               (segment.p_flags & PF_R) != 0, (segment.p_flags & PF_W) != 0,
                               (segment.p_flags & PF_X) != 0});
  }
  if (low >= high || high - low > largest_module) return {};
  module.start = module.bias + low;
  module.end = module.bias + high;
  if (module.end < module.start) return {};
  module.build_id = read_build_id(*elf, {memory, true, module.bias});
  return found;
}

/// The executable's ELF header lies directly before its program headers, or at least on their page.
std::optional<Found> read_executable(const Memory& memory, Address program_headers) {
  for (const Address address : {program_headers - sizeof(Elf64_Ehdr), program_headers & page_mask}) {
    if (auto found = read_module(memory, address)) return found;
  }
  return {};
}

Address debug_address(const Memory& memory, Address dynamic) {
  for (std::size_t i = 0; i < most_dynamic_entries; ++i) {
    const auto entry = memory.read_value<Elf64_Dyn>(dynamic + i * sizeof(Elf64_Dyn));
    if (!entry.ok() || entry->d_tag == DT_NULL) return 0;
    if (entry->d_tag == DT_DEBUG) return entry->d_un.d_ptr;
  }
  return 0;
}

/// Collects modules, each once.
class Collector {
 public:
  explicit Collector(const Memory& memory) : memory_(memory) {}

  void add(Found found, std::string path) {
    if (!starts_.insert(found.module.start).second) return;
    found.module.path = std::move(path);
    result_.modules.push_back(std::move(found.module));
  }

  void warn(std::string warning) { result_.warnings.push_back(std::move(warning)); }

  void follow_namespaces(Address debug) {
    std::set<Address> seen;
    while (debug != 0 && seen.insert(debug).second && result_.modules.size() < most_modules) {
      RemoteDebug remote{};
      const auto got = memory_.read_some(debug, std::as_writable_bytes(std::span(&remote, 1)));
      if (got < offsetof(RemoteDebug, next)) {
        warn(fmt::format("the dynamic linker's list at 0x{:x} is unreadable", debug));
        return;
      }
      follow_list(remote.map);
      debug = remote.version >= 2 && got == sizeof remote ? remote.next : 0;
    }
  }

  LentModules take() {
    std::ranges::sort(result_.modules, {}, &Module::start);
    return std::move(result_);
  }

 private:
  void follow_list(Address entry) {
    for (std::size_t i = 0; entry != 0; ++i) {
      const auto link = memory_.read_value<RemoteLinkMap>(entry);
      if (i == most_modules || !link.ok()) {
        warn(fmt::format("the list of shared libraries ends at 0x{:x}: {}", entry,
                         i == most_modules ? "too many" : "unreadable"));
        return;
      }
      add_library(*link);
      entry = link->next;
    }
  }

  void add_library(const RemoteLinkMap& link) {
    const auto name = memory_.read_string(link.name, longest_path);
    if (auto found = read_module(memory_, link.bias)) {
      add(std::move(*found), name.ok() ? *name : std::string());
    } else if (name.ok() && !name->empty()) {
      warn(fmt::format("no ELF header of {} at 0x{:x}", *name, link.bias));
    }
  }

  const Memory& memory_;
  std::set<Address> starts_;
  LentModules result_;
};

}  // namespace

LentModules find_lent_modules(const Memory& memory, std::span<const cpi_auxv> auxv,
                              const std::string& executable) {
  const auto value = [&](std::uint64_t type) -> Address {
    const auto entry = std::ranges::find(auxv, type, &cpi_auxv::type);
    return entry == auxv.end() ? 0 : entry->value;
  };
  Collector collector(memory);
  if (const Address vdso = value(AT_SYSINFO_EHDR); vdso != 0) {
    if (auto found = read_module(memory, vdso)) collector.add(std::move(*found), "[vdso]");
  }
  const Address headers = value(AT_PHDR);
  if (headers == 0) {
    collector.warn("the target has no auxiliary vector, so its modules cannot be found");
  } else if (auto program = read_executable(memory, headers)) {
    const Address dynamic = program->dynamic;
    collector.add(std::move(*program), executable);
    if (dynamic != 0) collector.follow_namespaces(debug_address(memory, dynamic));
  } else {
    collector.warn(fmt::format("no ELF header of the executable near 0x{:x}", headers));
  }
  return collector.take();
}

}  // namespace coppice::inspect

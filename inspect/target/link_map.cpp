#include "inspect/target/link_map.hpp"

#include <elf.h>
#include <link.h>

#include <climits>
#include <set>
#include <vector>

namespace coppice::inspect {

namespace {

constexpr std::uint64_t kMostHeaders = 1024;
constexpr std::uint64_t kMostDynamic = 4096;
constexpr std::size_t kMostLibraries = 65536;

/// The value of DT_DEBUG: the address of r_debug, 0 when there is none.
Address find_debug(const Memory& memory, Address program_headers, std::uint64_t count) {
  if (count > kMostHeaders) return 0;
  std::vector<Elf64_Phdr> headers(count);
  if (!memory.read(program_headers, std::as_writable_bytes(std::span(headers))).ok()) return 0;
  Address bias = 0;
  const Elf64_Phdr* dynamic = nullptr;
  for (const Elf64_Phdr& header : headers) {
    if (header.p_type == PT_PHDR) bias = program_headers - header.p_vaddr;
    if (header.p_type == PT_DYNAMIC) dynamic = &header;
  }
  for (std::uint64_t i = 0; dynamic != nullptr && i < kMostDynamic; ++i) {
    auto entry = memory.read_value<Elf64_Dyn>(dynamic->p_vaddr + bias + i * sizeof(Elf64_Dyn));
    if (!entry.ok() || entry->d_tag == DT_NULL) break;
    if (entry->d_tag == DT_DEBUG) return entry->d_un.d_ptr;
  }
  return 0;
}

}  // namespace

std::map<std::uint64_t, std::string> read_link_map(const Memory& memory, Address program_headers,
                                                   std::uint64_t count) {
  std::map<std::uint64_t, std::string> names;
  const Address debug = find_debug(memory, program_headers, count);
  if (debug == 0) return names;
  auto head = memory.read_value<r_debug>(debug);
  if (!head.ok()) return names;
  Address next = reinterpret_cast<Address>(head->r_map);
  std::set<Address> seen;  // a corrupt list may run in a circle
  while (next != 0 && seen.size() < kMostLibraries && seen.insert(next).second) {
    auto entry = memory.read_value<link_map>(next);
    if (!entry.ok()) break;
    auto name = memory.read_string(reinterpret_cast<Address>(entry->l_name), PATH_MAX);
    if (name.ok() && !name->empty()) names.emplace(entry->l_addr, std::move(*name));
    next = reinterpret_cast<Address>(entry->l_next);
  }
  return names;
}

}  // namespace coppice::inspect

#include "inspect/worker/server/libunwind_hooks.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <array>
#include <cstdio>
#include <cstring>

namespace coppice::inspect::worker {
namespace detail {
std::jmp_buf on_abort;
}

namespace {

OnlyFde presented;

// An .eh_frame_hdr whose pointers are all absolute (DW_EH_PE_udata8), so that it may lie anywhere, and an
// .eh_frame that ends at once, for the linear scan libunwind falls back on.
struct [[gnu::packed]] Index {
  std::uint8_t version = 1;
  std::uint8_t eh_frame_encoding = 0x04;
  std::uint8_t count_encoding = 0x03;
  std::uint8_t table_encoding = 0x04;
  const std::uint32_t* eh_frame = nullptr;
  std::uint32_t count = 1;
  std::uint64_t start = 0;
  std::uint64_t fde = 0;
};
constexpr std::array<std::uint32_t, 2> empty_eh_frame{0, 0};
Index index_of_one;

}  // namespace

void present(const OnlyFde& fde) noexcept {
  presented = fde;
  index_of_one.eh_frame = empty_eh_frame.data();
  index_of_one.start = fde.start;
  index_of_one.fde = fde.fde;
}

}  // namespace coppice::inspect::worker

using coppice::inspect::worker::index_of_one;
using coppice::inspect::worker::presented;

extern "C" {

#ifdef DLFO_STRUCT_HAS_EH_DBASE
// Stands in for glibc's _dl_find_object.
static int find_object(void* address, dl_find_object* result) {
  const auto pc = reinterpret_cast<std::uint64_t>(address);
  if (pc < presented.start || pc >= presented.end) return -1;
  *result = {};
  result->dlfo_map_start = reinterpret_cast<void*>(presented.start);
  result->dlfo_map_end = reinterpret_cast<void*>(presented.end);
  result->dlfo_eh_frame = &index_of_one;
  return 0;
}

void* coppice_hook_dlsym(void*, const char* name) {
  return std::strcmp(name, "_dl_find_object") == 0 ? reinterpret_cast<void*>(&find_object) : nullptr;
}
#else
void* coppice_hook_dlsym(void*, const char*) {
  return nullptr;
}
#endif

// For versions of libunwind that do not know _dl_find_object.
int coppice_hook_dl_iterate_phdr(int (*callback)(dl_phdr_info*, std::size_t, void*), void* data) {
  static std::uint64_t changes = 0;  // makes libunwind's cache of headers stale
  std::array<Elf64_Phdr, 2> headers{};
  headers[0].p_type = PT_LOAD;
  headers[0].p_vaddr = presented.start;
  headers[0].p_memsz = presented.end - presented.start;
  headers[1].p_type = PT_GNU_EH_FRAME;
  headers[1].p_vaddr = reinterpret_cast<std::uint64_t>(&index_of_one);
  headers[1].p_memsz = sizeof index_of_one;
  dl_phdr_info info{};
  info.dlpi_phdr = headers.data();
  info.dlpi_phnum = headers.size();
  info.dlpi_adds = ++changes;
  return callback(&info, sizeof info, data);
}

[[noreturn]] void coppice_hook_abort() {
  std::longjmp(coppice::inspect::worker::detail::on_abort, 1);
}

[[noreturn]] void coppice_hook_assert_fail(const char*, const char*, unsigned, const char*) {
  coppice_hook_abort();
}

// It prints only before it gives up, and there is nobody to read it.
int coppice_hook_fprintf(std::FILE*, const char*, ...) {
  return 0;
}
int coppice_hook_fprintf_chk(std::FILE*, int, const char*, ...) {
  return 0;
}
std::size_t coppice_hook_fwrite(const void*, std::size_t, std::size_t count, std::FILE*) {
  return count;
}
int coppice_hook_fflush(std::FILE*) {
  return 0;
}
}

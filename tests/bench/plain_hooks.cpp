// The private LLVM libunwind as it would be by itself: every hook is the function it stands for.
#include <dlfcn.h>
#include <link.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

extern "C" {

int coppice_hook_dl_iterate_phdr(int (*callback)(dl_phdr_info*, std::size_t, void*), void* data) {
  return ::dl_iterate_phdr(callback, data);
}
void* coppice_hook_dlsym(void* handle, const char* name) {
  return ::dlsym(handle, name);
}
[[noreturn]] void coppice_hook_abort() {
  std::abort();
}
[[noreturn]] void coppice_hook_assert_fail(const char*, const char*, unsigned, const char*) {
  std::abort();
}
int coppice_hook_fprintf(std::FILE* stream, const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  const int written = std::vfprintf(stream, format, arguments);
  va_end(arguments);
  return written;
}
std::size_t coppice_hook_fwrite(const void* data, std::size_t size, std::size_t count, std::FILE* stream) {
  return std::fwrite(data, size, count, stream);
}
int coppice_hook_fflush(std::FILE* stream) {
  return std::fflush(stream);
}
}

#include "samples/zoo/pattern.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

unsigned char byte_for(const unsigned char* address) {
  return static_cast<unsigned char>((reinterpret_cast<std::uintptr_t>(address) * 0x9e3779b97f4a7c15U) >> 56);
}

}  // namespace

void zoo_write_pattern(void* memory, size_t size) {
  auto* bytes = static_cast<unsigned char*>(memory);
  for (size_t i = 0; i < size; ++i) bytes[i] = byte_for(bytes + i);
}

void zoo_check_pattern(const void* memory, size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(memory);
  for (size_t i = 0; i < size; ++i) {
    if (bytes[i] == byte_for(bytes + i)) continue;
    std::fprintf(stderr, "coppice-zoo: byte %zu of %zu at %p was not restored\n", i, size, memory);
    std::abort();
  }
}

size_t zoo_opaque(size_t value) {
  asm volatile("" : "+r"(value));
  return value;
}

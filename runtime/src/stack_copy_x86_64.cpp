#include "stack_copy_x86_64.hpp"

#include <immintrin.h>

#include <cstdint>

namespace coppice::internal {

const bool can_copy_lines = __builtin_cpu_supports("avx");

namespace {

constexpr std::size_t line = 64;
constexpr std::size_t block = 8 * sizeof(__m256i);

[[gnu::target("avx"), gnu::always_inline]] inline void copy_block(std::byte* to,
                                                                  const std::byte* from) noexcept {
  const auto* const source = reinterpret_cast<const __m256i*>(from);
  auto* const target = reinterpret_cast<__m256i*>(to);
  const __m256i a = _mm256_loadu_si256(source);
  const __m256i b = _mm256_loadu_si256(source + 1);
  const __m256i c = _mm256_loadu_si256(source + 2);
  const __m256i d = _mm256_loadu_si256(source + 3);
  const __m256i e = _mm256_loadu_si256(source + 4);
  const __m256i f = _mm256_loadu_si256(source + 5);
  const __m256i g = _mm256_loadu_si256(source + 6);
  const __m256i h = _mm256_loadu_si256(source + 7);
  _mm256_storeu_si256(target, a);
  _mm256_storeu_si256(target + 1, b);
  _mm256_storeu_si256(target + 2, c);
  _mm256_storeu_si256(target + 3, d);
  _mm256_storeu_si256(target + 4, e);
  _mm256_storeu_si256(target + 5, f);
  _mm256_storeu_si256(target + 6, g);
  _mm256_storeu_si256(target + 7, h);
}

}  // namespace

// The first and last blocks may overlap their neighbours, so that all others begin with a line.
[[gnu::target("avx")]] void copy_lines(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
  copy_block(to, from);
  for (std::size_t at = line - reinterpret_cast<std::uintptr_t>(to) % line; at + block <= bytes;
       at += block) {
    copy_block(to + at, from + at);
  }
  copy_block(to + bytes - block, from + bytes - block);
}

}  // namespace coppice::internal

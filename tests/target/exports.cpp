// A library with many exported symbols, so that its hash tables have chains, and some that cannot be found.
#include <cstdint>

extern "C" {
std::uint32_t exported_a0[1];
std::uint32_t exported_a1[2];
std::uint32_t exported_a2[3];
std::uint32_t exported_a3[4];
std::uint32_t exported_a4[5];
std::uint32_t exported_a5[6];
std::uint32_t exported_a6[7];
std::uint32_t exported_a7[8];
std::uint32_t exported_a8[9];
std::uint32_t exported_a9[10];
std::uint32_t exported_b0[1];
std::uint32_t exported_b1[2];
std::uint32_t exported_b2[3];
std::uint32_t exported_b3[4];
std::uint32_t exported_b4[5];
std::uint32_t exported_b5[6];
std::uint32_t exported_b6[7];
std::uint32_t exported_b7[8];
std::uint32_t exported_b8[9];
std::uint32_t exported_b9[10];
std::uint32_t exported_c0[1];
std::uint32_t exported_c1[2];
std::uint32_t exported_c2[3];
std::uint32_t exported_c3[4];
std::uint32_t exported_c4[5];
std::uint32_t exported_c5[6];
std::uint32_t exported_c6[7];
std::uint32_t exported_c7[8];
std::uint32_t exported_c8[9];
std::uint32_t exported_c9[10];
thread_local int exported_tls;
extern char** environ;
int exported_function() {
  return 42;
}
char*** exported_reference() {
  return &environ;
}
}

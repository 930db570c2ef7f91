// Writes the seeds of fuzz_core into a folder: core_seeds FOLDER
#include <cstdio>

#include "tests/target/core_maker.hpp"
#include "tests/target/tiny_core.hpp"

using namespace coppice::inspect::test;

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: core_seeds FOLDER\n");
    return 2;
  }
  const std::string folder = argv[1];
  TinyCore extended = ordinary_tiny_core(true);
  extended.extended_numbering = true;
  TinyCore zeros = ordinary_tiny_core(true);
  zeros.loads[2].bytes.assign(4096, std::byte{0});
  Bytes cut = ordinary_tiny_core(true).build();
  cut.resize(cut.size() - 3000);
  write_bytes(folder + "/ordinary", ordinary_tiny_core(true).build());
  write_bytes(folder + "/without-files", ordinary_tiny_core(false).build());
  write_bytes(folder + "/link-map", tiny_core_with_link_map().build());
  write_bytes(folder + "/extended-numbering", extended.build());
  write_bytes(folder + "/zero-stack", zeros.build());
  write_bytes(folder + "/cut", cut);
  return 0;
}

// gltop: a live view of the greenlets of a running program.
#include <malloc.h>

#include <clocale>
#include <utility>

#include "tui/browse.hpp"
#include "tui/options.hpp"

int main(int argc, char** argv) {
  using namespace coppice::tui;
  std::setlocale(LC_ALL, "");
  // A heap that is given back after each snapshot costs a page fault for every 4 KB of the next one.
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  Options options;
  if (const auto status = parse_options(argc, argv, options)) leave(*status);
  leave(options.pid > 0 ? show_process(options) : browse(options));
}

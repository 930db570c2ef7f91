// gltop: a live view of the greenlets of a running program.
#include <clocale>
#include <utility>

#include "tui/browse.hpp"
#include "tui/options.hpp"

int main(int argc, char** argv) {
  using namespace coppice::tui;
  std::setlocale(LC_ALL, "");
  Options options;
  if (const auto status = parse_options(argc, argv, options)) leave(*status);
  leave(options.pid > 0 ? show_process(options) : browse(options));
}

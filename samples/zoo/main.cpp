// coppice-zoo: greenlets in every kind of frame, to point gltop, gldump and GDB at. Ends with its standard
// input.
#include <getopt.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "samples/zoo/exhibit.hpp"
#include "samples/zoo/forest.hpp"
#include "samples/zoo/park.hpp"

namespace {

using namespace coppice::zoo;

constexpr char usage[] =
    "Usage: coppice-zoo [--nest N [--threads T] [--seed S]] [--announce FD]\n"
    "Parks one greenlet in each kind of stack frame, or N in random nestings of them, and waits\n"
    "until its standard input ends or has a line. Then every greenlet goes on and checks its frames.\n"
    "  --nest N       a forest of N greenlets instead of one of each\n"
    "  --threads T    in T threads (4)\n"
    "  --seed S       the same seed grows the same forest (1)\n"
    "  --announce FD  first write every greenlet's own backtrace to this descriptor\n";

struct Options {
  bool nest = false;
  ForestPlan plan;
  int announce_fd = -1;
};

/// Exits with 2 on anything but a number in [lowest, highest].
std::uint64_t number(const char* text, std::uint64_t lowest, std::uint64_t highest) {
  char* end = nullptr;
  errno = 0;
  const unsigned long long value = std::strtoull(text, &end, 10);
  if (errno == 0 && end != text && *end == '\0' && *text != '-' && value >= lowest && value <= highest)
    return value;
  std::fprintf(stderr, "coppice-zoo: %s is not a number from %ju to %ju\n", text,
               static_cast<std::uintmax_t>(lowest), static_cast<std::uintmax_t>(highest));
  std::exit(2);
}

Options parse(int argc, char** argv) {
  static const option long_options[] = {
      {"nest", required_argument, nullptr, 'n'}, {"threads", required_argument, nullptr, 't'},
      {"seed", required_argument, nullptr, 's'}, {"announce", required_argument, nullptr, 'a'},
      {"help", no_argument, nullptr, 'h'},       {}};
  Options options;
  for (int c = 0; (c = ::getopt_long(argc, argv, "", long_options, nullptr)) != -1;) {
    switch (c) {
      case 'n':
        options.nest = true;
        options.plan.greenlets = static_cast<unsigned>(number(optarg, 1, 1'000'000));
        break;
      case 't':
        options.plan.threads = static_cast<unsigned>(number(optarg, 1, 64));
        break;
      case 's':
        options.plan.seed = number(optarg, 0, UINT64_MAX);
        break;
      case 'a':
        options.announce_fd = static_cast<int>(number(optarg, 0, 1'000'000));
        break;
      case 'h':
        std::fputs(usage, stdout);
        std::exit(0);
      default:
        std::fputs(usage, stderr);
        std::exit(2);
    }
  }
  if (optind != argc) {
    std::fputs(usage, stderr);
    std::exit(2);
  }
  return options;
}

/// Shows the greenlets to whoever is interested, until standard input has a byte or ends.
void open_to_visitors(const Options& options) {
  std::printf("coppice-zoo: pid %d; press Enter to let everyone go\n", ::getpid());
  std::fflush(stdout);
  if (options.announce_fd >= 0 && !announce(options.announce_fd)) {
    std::fprintf(stderr, "coppice-zoo: cannot write to descriptor %d: %s\n", options.announce_fd,
                 std::strerror(errno));
    std::exit(1);
  }
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR) continue;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  const auto open = [&options] { open_to_visitors(options); };
  if (options.nest) {
    std::printf("coppice-zoo: seed %ju\n", static_cast<std::uintmax_t>(options.plan.seed));
    const unsigned finished = run_forest(options.plan, open);
    std::printf("coppice-zoo: %u of %u greenlets finished, every frame as it was left\n", finished,
                options.plan.greenlets);
    return finished == options.plan.greenlets ? 0 : 1;
  }
  std::printf("coppice-zoo: %zu greenlets, every frame as it was left\n", run_exhibit(open));
}

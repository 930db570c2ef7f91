#include "tests/fuzz/recorded_program.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace coppice::inspect::testing {
namespace {

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "fuzz target: %s\n", why.c_str());
  std::_Exit(1);
}

}  // namespace

void RecordingMemory::read_batch(std::span<ReadRequest> requests) const {
  memory_.read_batch(requests);
  for (const ReadRequest& request : requests) {
    if (request.got == 0) continue;
    Address& end = read_[request.address];
    end = std::max(end, request.address + request.got);
  }
}

std::vector<AddressRange> RecordingMemory::ranges() const {
  constexpr Address word = sizeof(std::uint64_t);
  std::vector<AddressRange> ranges;
  for (const auto& [first, last] : read_) {
    const Address start = first & ~(word - 1), end = (last + word - 1) & ~(word - 1);
    if (ranges.empty() || start > ranges.back().end) {
      ranges.push_back({start, end});
    } else {
      ranges.back().end = std::max(ranges.back().end, end);
    }
  }
  return ranges;
}

PythonProgram::PythonProgram(const std::string& path) {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return;
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::personality(ADDR_NO_RANDOMIZE);  // so that an input does nearly the same the next time
    ::setenv("PYTHONHASHSEED", "0", 1);
    ::dup2(pipe[1], STDOUT_FILENO);
    ::execl(PYTHON, PYTHON, path.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ::close(pipe[1]);
  for (char byte = 0; !ready_ && ::read(pipe[0], &byte, 1) == 1;) ready_ = byte == '\n';
  ::close(pipe[0]);
}

PythonProgram::~PythonProgram() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

RecordedProgram record(Target& target) {
  auto providers = find_providers(target);
  if (!providers.ok()) fail(providers.error().message);
  PythonSearch search = find_python(target);
  if (providers->size() != 1 || search.found.size() != 1) fail("this is no CPython with greenlets");
  auto reading = providers->front()->read({});
  if (!reading.ok()) fail(reading.error().message);
  if (reading->greenlets.size() < 10) fail("too few greenlets");
  RecordedProgram recorded{{}, std::move(search.found.front()), std::move(reading->greenlets)};
  const auto copy = [](auto& into, auto from) { into.assign(from.begin(), from.end()); };
  copy(recorded.target.modules_, target.modules());
  copy(recorded.target.mappings_, target.mappings());
  copy(recorded.target.threads_, target.threads());
  return recorded;
}

}  // namespace coppice::inspect::testing

// A Python program that knows its own stacks: subject.py, run by an interpreter of one's choice.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "inspect/base/unique_fd.hpp"
#include "inspect/greenlets/greenlet.hpp"
#include "inspect/python/python_stack.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect::testing {

/// The interpreter to test with: the words of $COPPICE_TEST_PYTHON ("chroot /srv/forky python3"), else
/// Debian's own.
std::vector<std::string> python_command();

/// What the program says of one frame.
struct ExpectedFrame {
  std::string function, file;
  std::uint32_t line = 0;
};

struct ExpectedGreenlet {
  PythonPosition position;
  Slice slice;  ///< `stop` of a main greenlet is the highest address
  std::vector<ExpectedFrame> frames;
  std::map<std::string, std::string>
      locals;  ///< of its frame of the function `with_locals`, where it has one
};

struct ExpectedThread {
  Address pthread = 0;
  pid_t tid = 0;
  std::vector<ExpectedFrame> frames;
};

/// The running program, parked. Ended with the object.
class PythonSubject {
 public:
  /// `script`: path. Throws when it does not come up; what it wrote to standard error is on ours.
  PythonSubject(const std::string& script, std::vector<std::string> arguments);
  ~PythonSubject();
  PythonSubject(const PythonSubject&) = delete;
  PythonSubject& operator=(const PythonSubject&) = delete;

  pid_t pid() const noexcept { return pid_; }
  std::uint32_t hex = 0;
  std::string greenlet_version;
  std::uint64_t disagree = 0;  ///< greenlets of which gr_frame says something else than the program
  std::string other;  ///< a function that a thread of another interpreter is in; empty: there is no other
  std::vector<ExpectedGreenlet> greenlets;
  std::vector<ExpectedThread> threads;

 private:
  pid_t pid_ = -1;
  UniqueFd input_;
};

/// The differences, in words; empty when every frame is as expected.
std::string differences(const std::vector<ExpectedFrame>& expected, const PythonStack& stack);

/// What is wrong with the entry marks, in words; empty when nothing is.
std::string wrong_marks(std::uint32_t hex, const PythonStack& stack);

}  // namespace coppice::inspect::testing

#include "tests/python/python_subject.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace coppice::inspect::testing {
namespace {

using Json = nlohmann::json;

std::string bytes_of(const std::string& hexadecimal) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < hexadecimal.size(); at += 2) {
    bytes += static_cast<char>(std::stoi(hexadecimal.substr(at, 2), nullptr, 16));
  }
  return bytes;
}

std::vector<ExpectedFrame> frames_of(const Json& list) {
  std::vector<ExpectedFrame> frames;
  for (const Json& frame : list) {
    frames.push_back({bytes_of(frame[0]), bytes_of(frame[1]), frame[2].get<std::uint32_t>()});
  }
  return frames;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (text.str().empty()) throw std::runtime_error("cannot read " + path);
  return text.str();
}

std::string read_line(int fd) {
  std::string line;
  std::array<char, 65536> piece;
  while (line.empty() || line.back() != '\n') {
    const ssize_t got = read(fd, piece.data(), piece.size());
    if (got <= 0) break;
    line.append(piece.data(), static_cast<std::size_t>(got));
  }
  return line;
}

}  // namespace

std::vector<std::string> python_command() {
  const char* chosen = std::getenv("COPPICE_TEST_PYTHON");
  std::istringstream words(chosen != nullptr ? chosen : "/usr/bin/python3");
  std::vector<std::string> command;
  for (std::string word; words >> word;) command.push_back(word);
  return command;
}

PythonSubject::PythonSubject(const std::string& script, std::vector<std::string> arguments) {
  std::vector<std::string> command = python_command();
  command.insert(command.end(), {"-c", text_of(script)});
  command.insert(command.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);

  std::array<int, 2> to{}, from{};
  if (pipe2(to.data(), O_CLOEXEC) != 0 || pipe2(from.data(), O_CLOEXEC) != 0)
    throw std::runtime_error("pipe2");
  input_.reset(to[1]);
  const UniqueFd to_end(to[0]), output(from[0]);
  UniqueFd from_end(from[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to_end.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, from_end.get(), STDOUT_FILENO);
  const int failed = posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw std::runtime_error("cannot run " + command.front());
  from_end.reset();

  const Json report = Json::parse(read_line(output.get()));
  hex = report["hex"];
  greenlet_version = report["greenlet"];
  disagree = report["disagree"];
  if (report["other"].is_string()) other = report["other"];
  for (const Json& entry : report["greenlets"]) {
    ExpectedGreenlet greenlet;
    greenlet.position = {entry["top_frame"], entry["current_frame"], entry["previous_frame"]};
    greenlet.slice = {entry["start"], entry["stop"], entry["copy"], entry["saved"]};
    greenlet.frames = frames_of(entry["frames"]);
    if (entry.contains("locals")) {
      for (const auto& [name, text] : entry["locals"].items()) greenlet.locals[name] = bytes_of(text);
    }
    greenlets.push_back(std::move(greenlet));
  }
  for (const Json& entry : report["threads"]) {
    threads.push_back({entry["pthread"], entry["tid"], frames_of(entry["frames"])});
  }
}

PythonSubject::~PythonSubject() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::string differences(const std::vector<ExpectedFrame>& expected, const PythonStack& stack) {
  std::string text;
  if (stack.error) text += stack.error->message + "\n";
  for (std::size_t i = 0; i < std::max(expected.size(), stack.frames.size()); ++i) {
    const ExpectedFrame want = i < expected.size() ? expected[i] : ExpectedFrame{"(none)", "", 0};
    const PythonFrame have = i < stack.frames.size() ? stack.frames[i] : PythonFrame{};
    if (want.function == have.function && want.file == have.file && want.line == have.line) continue;
    text += fmt::format("{}: {} {}:{}, not {} {}:{}\n", i, want.function, want.file, want.line,
                        std::string_view(have.function), std::string_view(have.file), have.line);
  }
  return text;
}

std::string wrong_marks(std::uint32_t hex, const PythonStack& stack) {
  constexpr std::uint32_t version_3_11 = 0x030b0000, version_3_12 = 0x030c0000;
  std::string text;
  Address last_entry_frame = 0;
  for (const PythonFrame& frame : stack.frames) {
    // "p_map.<locals>.c_mapped" or, before 3.11, "c_mapped"
    const std::string_view function = frame.function;
    const std::string_view name = function.substr(function.rfind('.') + 1);
    const bool outermost = &frame == &stack.frames.back();
    const bool must_be = outermost || name.starts_with("c_") || hex < version_3_11;
    const bool must_not_be = !must_be && name.starts_with("p_");
    if ((must_be && !frame.entry) || (must_not_be && frame.entry)) {
      text += fmt::format("{} is {}an entry\n", function, frame.entry ? "" : "not ");
    }
    if (hex < version_3_12 || !frame.entry) {
      if (frame.entry_frame != 0) text += fmt::format("{} has an entry frame\n", function);
      continue;
    }
    if (frame.entry_frame <= last_entry_frame) {
      text += fmt::format("{} has the entry frame {:#x}, and the one before {:#x}\n", function,
                          frame.entry_frame, last_entry_frame);
    }
    last_entry_frame = frame.entry_frame;
  }
  return text;
}

}  // namespace coppice::inspect::testing

// A Target made of plain data, for tests that need no process.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "inspect/memory/fakes.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect::testing {

class FakeTarget final : public Target {
 public:
  Kind kind_ = Kind::live;
  const Memory* memory_ = nullptr;
  std::vector<Module> modules_;
  std::vector<Mapping> mappings_;
  std::vector<Thread> threads_;
  std::map<pid_t, ThreadRegisters> registers_;  ///< the others run on a CPU
  std::vector<std::string> warnings_;
  bool gone_ = false;
  std::optional<std::string> stillness_ = std::string();
  std::map<Address, std::vector<AddressRange>> populated_;  ///< of mappings, by start; the others are whole
  std::function<void()> before_still_;                      ///< called when the target is to stand still

  Kind kind() const override { return kind_; }
  pid_t pid() const override { return 4242; }
  std::string executable() const override { return "/opt/demo/fake"; }
  std::string command_line() const override { return "fake --it"; }
  const Memory& memory() const override { return *memory_; }
  std::span<const Module> modules() const override { return modules_; }
  std::span<const Mapping> mappings() const override { return mappings_; }
  std::span<const Thread> threads() const override { return threads_; }
  Result<void> refresh() override {
    if (gone_) return Error{ErrorCode::gone, 0, "process 4242 has exited"};
    return {};
  }
  Result<ThreadRegisters> registers(pid_t tid, Stopping) const override {
    auto found = registers_.find(tid);
    if (found == registers_.end()) return Error{ErrorCode::not_stopped, 0, "thread runs on a CPU"};
    return found->second;
  }
  std::optional<std::string> stillness() const override { return stillness_; }
  std::vector<Error> while_still(const WhileStill& copy) const override {
    if (before_still_) before_still_();
    return Target::while_still(copy);
  }
  std::vector<AddressRange> populated(Address start, Address end) const override {
    const auto found = populated_.find(start);
    return found != populated_.end() ? found->second : Target::populated(start, end);
  }
  Result<UniqueFd> open_image(const Module& module) const override {
    return Error{ErrorCode::no_file, 0, "no file for " + module.path};
  }
  Result<UniqueFd> open_debug_file(const Module&, const std::string&, const std::string&) const override {
    return Error{ErrorCode::no_file, 0, "no debug file"};
  }
  std::span<const std::string> warnings() const override { return warnings_; }
};

}  // namespace coppice::inspect::testing

#include "inspect/worker/worker.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "inspect/worker/locate.hpp"
#include "inspect/worker/process.hpp"

namespace coppice::inspect {

using worker::BodyReader;
using worker::BodyWriter;
using worker::FileId;
using worker::Message;
using worker::MessageHeader;
using worker::MessageKind;
using worker::Transfer;

struct Worker::Impl {
  explicit Impl(Options chosen) : options(std::move(chosen)) {}

  Result<void> ensure_started();
  Result<bool> pass_file(FileId file);
  Outcome receive_answers(const std::function<void(std::span<const std::byte>)>& on_answer);
  void drop_process() {
    process.reset();
    passed.clear();
  }

  Options options;
  std::unique_ptr<worker::Process> process;
  std::set<FileId> passed;  // which files this process has got
  std::uint64_t starts = 0;

  std::map<FileId, UniqueFd> files;
  FileId next_file = 1;
  std::map<std::string, FileId> images;   // by module key
  std::map<std::string, Error> failures;  // by module key
};

namespace {

// What names a module here until the target knows its identity.
std::string place_of(const Module& module) {
  return "@" + std::to_string(module.start) + "-" + std::to_string(module.end) + " " + module.build_id + " " +
         module.path;
}

}  // namespace

Result<void> Worker::Impl::ensure_started() {
  if (process) return {};
  auto program = worker::locate_program(options.program);
  if (!program.ok()) return std::move(program).error();
  auto started = worker::Process::start(program.value());
  if (!started.ok()) return std::move(started).error();
  Message hello;
  if (worker::receive_message(started->socket(), hello, options.silence_limit_ms) != Transfer::complete ||
      hello.header.kind != MessageKind::ready) {
    return Error{ErrorCode::io, 0, program.value() + " started but did not answer"};
  }
  if (!hello.body.empty()) {
    BodyReader reader(hello.body);
    std::string reason;
    reader.get_string(reason);
    return Error{ErrorCode::io, 0, "coppice-worker cannot work here: " + reason};
  }
  process = std::make_unique<worker::Process>(std::move(started).value());
  ++starts;
  return {};
}

// False: the worker died meanwhile.
Result<bool> Worker::Impl::pass_file(FileId file) {
  if (passed.contains(file)) return true;
  auto found = files.find(file);
  if (found == files.end())
    return Error{ErrorCode::bad_argument, 0, "a file that the worker was never given"};
  BodyWriter body;
  body.put(file);
  MessageHeader header;
  header.kind = MessageKind::open_file;
  const int descriptor = found->second.get();
  if (worker::send_message(process->socket(), header, body.bytes(), {&descriptor, 1}) != Transfer::complete)
    return false;
  passed.insert(file);
  return true;
}

Worker::Outcome Worker::Impl::receive_answers(
    const std::function<void(std::span<const std::byte>)>& on_answer) {
  Message message;
  for (;;) {
    const Transfer received = worker::receive_message(process->socket(), message, options.silence_limit_ms);
    if (received == Transfer::timed_out) return Outcome::stalled;
    if (received != Transfer::complete) return Outcome::crashed;
    switch (message.header.kind) {
      case MessageKind::answer: {
        // Held-back answers travel in one message, each behind its length.
        std::span<const std::byte> rest(message.body);
        while (!rest.empty()) {
          std::uint32_t size = 0;
          if (rest.size() < sizeof size) return Outcome::crashed;
          std::memcpy(&size, rest.data(), sizeof size);
          rest = rest.subspan(sizeof size);
          if (rest.size() < size) return Outcome::crashed;
          on_answer(rest.first(size));
          rest = rest.subspan(size);
        }
        break;
      }
      case MessageKind::done:
        return Outcome::complete;
      case MessageKind::stalled:
        return Outcome::stalled;
      default:
        return Outcome::crashed;
    }
  }
}

Worker::Worker() : Worker(Options{}) {}
Worker::Worker(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Worker::~Worker() = default;

Result<FileId> Worker::image(const Target& target, const Module& module) {
  const std::string place = place_of(module);
  if (!module.identity.empty()) {
    if (auto known = impl_->images.find(module.identity); known != impl_->images.end()) return known->second;
  }
  if (auto failed = impl_->failures.find(place); failed != impl_->failures.end()) return failed->second;
  auto opened = target.open_image(module);
  if (!opened.ok()) {
    impl_->failures.emplace(place, opened.error());
    return std::move(opened).error();
  }
  // Opening gives the module its identity; another module, or another target, may have brought the file
  // before.
  const std::string key = module.identity.empty() ? place : module.identity;
  if (auto known = impl_->images.find(key); known != impl_->images.end()) {
    if (!module.identity.empty()) return known->second;
    release(known->second);
  }
  const FileId file = adopt(std::move(opened).value());
  impl_->images[key] = file;
  return file;
}

FileId Worker::adopt(UniqueFd file) {
  const FileId id = impl_->next_file++;
  impl_->files.emplace(id, std::move(file));
  return id;
}

void Worker::release(FileId file) {
  impl_->files.erase(file);
  std::erase_if(impl_->images, [file](const auto& entry) { return entry.second == file; });
  if (!impl_->process || impl_->passed.erase(file) == 0) return;
  BodyWriter body;
  body.put(file);
  MessageHeader header;
  header.kind = MessageKind::close_file;
  if (worker::send_message(impl_->process->socket(), header, body.bytes()) != Transfer::complete)
    impl_->drop_process();
}

void Worker::forget_failures() {
  impl_->failures.clear();
}

Result<Worker::Outcome> Worker::ask(const Request& request,
                                    const std::function<void(std::span<const std::byte>)>& on_answer) {
  if (request.body.size() > worker::max_body) {
    return Error{ErrorCode::bad_argument, 0, "a request to coppice-worker is too long"};
  }
  if (auto started = impl_->ensure_started(); !started.ok()) return std::move(started).error();
  for (const FileId file : request.files) {
    auto passed = impl_->pass_file(file);
    if (!passed.ok()) return std::move(passed).error();
    if (!passed.value()) {
      impl_->drop_process();
      return Outcome::crashed;
    }
  }
  MessageHeader header;
  header.kind = request.kind;
  header.batch = std::max<std::uint16_t>(1, request.batch);
  header.cpu_limit = request.item_cpu_ms;
  Outcome outcome = Outcome::crashed;
  if (worker::send_message(impl_->process->socket(), header, request.body) == Transfer::complete) {
    outcome = impl_->receive_answers(on_answer);
  }
  if (outcome != Outcome::complete) impl_->drop_process();
  return outcome;
}

std::uint64_t Worker::restarts() const noexcept {
  return impl_->starts > 0 ? impl_->starts - 1 : 0;
}

}  // namespace coppice::inspect

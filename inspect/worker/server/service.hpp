// Inside coppice-worker: what a service is given and how it answers.
#pragma once

#include <cstdint>
#include <map>
#include <span>

#include "inspect/worker/protocol.hpp"

namespace coppice::inspect::worker {

/// The files the client passed. A service looks descriptors up here and keeps what it made of a file under
/// the same number, until `Service::forget`.
class Files {
 public:
  /// The descriptor, or -1 when the client never passed that file. Borrowed.
  int descriptor(FileId file) const {
    auto found = files_.find(file);
    return found == files_.end() ? -1 : found->second.get();
  }
  void open(FileId file, UniqueFd descriptor) { files_[file] = std::move(descriptor); }
  void close(FileId file) { files_.erase(file); }

 private:
  std::map<FileId, UniqueFd> files_;
};

/// Carries answers back. Each `send` ends one item and starts the CPU time of the next.
class Answers {
 public:
  Answers(int socket, std::uint16_t batch, std::uint32_t item_cpu_ms);
  Answers(const Answers&) = delete;
  Answers& operator=(const Answers&) = delete;
  ~Answers();

  /// Answers the item now worked at.
  void send(std::span<const std::byte> body);

  /// Sends what was held back, and `done`.
  void finish();

 private:
  void flush();
  void allow_cpu_time();

  int socket_;
  std::uint16_t batch_;
  std::uint32_t item_cpu_ms_;
  std::uint16_t held_ = 0;
  BodyWriter held_back_;
};

/// Answers one kind of request. Services may trust the request (it comes from our own client) and nothing in
/// a file; a service that crashes or loops takes the worker with it, and only the item it was at is lost.
class Service {
 public:
  Service() = default;
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  virtual ~Service() = default;
  virtual void serve(BodyReader& request, Answers& answers) = 0;
  /// The client released a file: let go what was kept of it.
  virtual void forget(FileId file) = 0;
};

}  // namespace coppice::inspect::worker

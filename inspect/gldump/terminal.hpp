// Standard output and standard error as gldump uses them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "inspect/export/text.hpp"

namespace coppice::gldump {

/// Colours where standard output is a terminal that has them and nobody asked for none (NO_COLOR); its width.
inspect::TextStyle style_of_stdout(bool color_wanted);

/// Writes to standard output. A reader that has gone (EPIPE: `gldump bt | head`) is no error and ends the
/// output.
class Output {
 public:
  /// False: no more is wanted, or can be written.
  bool write(std::string_view text);
  /// Empties the buffers. The reason why something could not be written; empty when all is well.
  std::string finish();

 private:
  void note_failure();
  bool closed_ = false;
  std::string failure_;
};

/// Says on a terminal what takes long; says nothing where standard error is no terminal, or nothing takes
/// long.
class Progress {
 public:
  Progress();
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(const char* what, std::uint64_t done, std::uint64_t total);
  void clear();

 private:
  std::chrono::steady_clock::time_point start_;
  bool terminal_;
  bool shown_ = false;
};

}  // namespace coppice::gldump

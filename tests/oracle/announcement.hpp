// What coppice-zoo says of its own greenlets: the truth that the inspector is compared with.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "inspect/base/result.hpp"

namespace coppice::oracle {

using inspect::Address;

/// One frame, by libgcc's unwinder. See samples/zoo/park.hpp.
struct AnnouncedFrame {
  Address pc = 0;
  Address sp = 0;
  bool exact = false;
};

struct AnnouncedGreenlet {
  std::string id;
  pid_t tid = 0;
  std::string state;
  std::string name;
  std::vector<AnnouncedFrame> frames;  ///< from zoo_park outward; empty when it has no stack
};

struct Announcement {
  pid_t pid = 0;
  Address bias = 0;       ///< of the executable
  Address resume_pc = 0;  ///< by the debug table
  std::vector<AnnouncedGreenlet> greenlets;
};

/// Parses the whole text; `corrupt` with what is wrong with it, also when its end or any greenlet is missing.
inspect::Result<Announcement> parse_announcement(const std::string& text);

}  // namespace coppice::oracle

#include "tests/oracle/announcement.hpp"

#include <sstream>

namespace coppice::oracle {

namespace {

inspect::Error corrupt(const std::string& what) {
  return {inspect::ErrorCode::corrupt, 0, "announcement: " + what};
}

bool parse_frame(const std::string& text, AnnouncedFrame& frame) {
  std::istringstream in(text);
  char colon = 0;
  std::string rest;
  if (!(in >> std::hex >> frame.pc >> colon >> frame.sp) || colon != ':') return false;
  in >> rest;
  frame.exact = rest == ":exact";
  return rest.empty() || frame.exact;
}

}  // namespace

inspect::Result<Announcement> parse_announcement(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  Announcement announcement;
  std::size_t promised = 0;
  bool ended = false;
  while (std::getline(lines, line)) {
    std::istringstream in(line);
    std::string word;
    in >> word;
    if (word == "coppice-zoo") {
      unsigned version = 0;
      in >> version >> announcement.pid >> std::hex >> announcement.bias >> announcement.resume_pc;
      if (!in || version != 1) return corrupt("bad first line: " + line);
    } else if (word == "greenlet") {
      AnnouncedGreenlet greenlet;
      in >> greenlet.id >> greenlet.tid >> greenlet.state >> greenlet.name;
      if (!in) return corrupt("bad greenlet: " + line);
      if (greenlet.name == "-") greenlet.name.clear();
      for (std::string frame; in >> frame;) {
        if (!parse_frame(frame, greenlet.frames.emplace_back())) return corrupt("bad frame: " + frame);
      }
      announcement.greenlets.push_back(std::move(greenlet));
    } else if (word == "end") {
      ended = static_cast<bool>(in >> promised);
    } else {
      return corrupt("unknown line: " + line);
    }
  }
  if (!ended || promised != announcement.greenlets.size() || announcement.resume_pc == 0)
    return corrupt("cut short");
  return announcement;
}

}  // namespace coppice::oracle

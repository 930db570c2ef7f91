#include "json_contract.hpp"

#include <fmt/format.h>

#include <functional>
#include <regex>
#include <set>

namespace coppice::inspect::testing {
namespace {

using nlohmann::json;
using Test = std::function<bool(const json&)>;

bool is_text(const json& value) {
  return value.is_string() && !value.get_ref<const std::string&>().empty();
}
bool is_count(const json& value) {
  return value.is_number_unsigned();
}
bool is_flag(const json& value) {
  return value.is_boolean();
}
bool is_hex(const json& value) {
  static const std::regex hex("0x(0|[1-9a-f][0-9a-f]{0,15})");
  return value.is_string() && std::regex_match(value.get_ref<const std::string&>(), hex);
}
Test or_null(Test test) {
  return [test = std::move(test)](const json& value) { return value.is_null() || test(value); };
}
Test one_of(std::set<std::string> words) {
  return [words = std::move(words)](const json& value) {
    return value.is_string() && words.count(value.get<std::string>()) == 1;
  };
}

class Checker {
 public:
  std::vector<std::string> problems;

  /// A field must be there and pass.
  const json& field(const json& object, const std::string& where, const std::string& name, const Test& test) {
    static const json missing;
    if (!object.is_object() || !object.contains(name)) {
      problems.push_back(fmt::format("{} has no {}", where, name));
      return missing;
    }
    const json& value = object.at(name);
    if (!test(value)) problems.push_back(fmt::format("{}.{} is {}", where, name, value.dump().substr(0, 80)));
    return value;
  }

  /// Of a Python frame, where they were asked for.
  void locals(const json& frame, const std::string& here) {
    if (frame.value("kind", "") != "python") problems.push_back(here + " is native, and has locals");
    const json& list = field(frame, here, "locals", or_null(&json::is_array));
    for (const json& local : list.is_array() ? list : json::array()) {
      field(local, here, "name", is_text);
      field(local, here, "value", is_text);
    }
    field(frame, here, "locals_left_out", is_count);
    const json& error = field(frame, here, "locals_error", or_null(&json::is_object));
    if (list.is_null() == error.is_null()) problems.push_back(here + " lacks locals without a reason");
  }

  void frames(const json& list, const std::string& where) {
    if (!list.is_array()) return;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const json& frame = list[i];
      const std::string here = fmt::format("{}.frames[{}]", where, i);
      field(frame, here, "kind", one_of({"native", "python"}));
      field(frame, here, "pc", frame.value("kind", "") == "native" ? Test(is_hex) : or_null(is_hex));
      field(frame, here, "sp", or_null(is_hex));
      for (const char* name : {"module", "build_id", "function", "file"})
        field(frame, here, name, or_null(is_text));
      field(frame, here, "offset", or_null(is_hex));
      field(frame, here, "line", or_null(is_count));
      field(frame, here, "inlined", is_flag);
      if (frame.contains("locals")) locals(frame, here);
    }
  }

  void slice(const json& greenlet, const std::string& where) {
    const std::string here = where + ".slice";
    const json& slice = field(greenlet, where, "slice", &json::is_object);
    const json& start = field(slice, here, "start", or_null(is_hex));
    const json& stop = field(slice, here, "stop", or_null(is_hex));
    const json& saved = field(slice, here, "saved", or_null(is_count));
    const json& unsaved = field(slice, here, "unsaved", or_null(is_count));
    if (!is_hex(start) || !is_hex(stop) || !is_count(saved) || !is_count(unsaved)) return;
    const auto number = [](const json& hex) { return std::stoull(hex.get<std::string>(), nullptr, 16); };
    if (saved.get<std::uint64_t>() + unsaved.get<std::uint64_t>() != number(stop) - number(start)) {
      problems.push_back(here + ": saved and unsaved are not the whole");
    }
  }

  void greenlet(const json& greenlet, const std::string& where, JsonOf command) {
    field(greenlet, where, "id", is_text);
    field(greenlet, where, "address", or_null(is_hex));
    for (const char* name : {"name", "type", "parent"}) field(greenlet, where, name, or_null(is_text));
    field(greenlet, where, "provider", one_of({"coppice", "cpython"}));
    field(greenlet, where, "state", one_of({"unstarted", "finished", "running", "suspended", "orphaned"}));
    field(greenlet, where, "main", is_flag);
    for (const char* name : {"tid", "nstid"}) field(greenlet, where, name, or_null(is_count));
    const json& waiting = field(greenlet, where, "waiting", or_null(&json::is_object));
    if (waiting.is_object()) {
      field(waiting, where + ".waiting", "kind", or_null(is_text));
      field(waiting, where + ".waiting", "value", is_count);
      for (const char* name : {"detail", "greenlet"})
        field(waiting, where + ".waiting", name, or_null(is_text));
    }
    field(greenlet, where, "function", or_null(is_text));
    field(greenlet, where, "arguments", or_null(&json::is_string));
    field(greenlet, where, "minimal_ident", or_null(is_count));
    const json& stack = field(greenlet, where, "spawn_stack", or_null(&json::is_array));
    for (const json& frame : stack.is_array() ? stack : json::array()) {
      for (const char* name : {"function", "file"}) field(frame, where, name, or_null(is_text));
      field(frame, where, "line", or_null(is_count));
    }
    const json& missing = field(greenlet, where, "origin_error", or_null(&json::is_object));
    if (missing.is_object()) field(missing, where + ".origin_error", "message", is_text);
    slice(greenlet, where);
    const json& end = field(greenlet, where, "end", or_null(one_of({"base", "truncated", "error"})));
    const json& error = field(greenlet, where, "error", or_null(&json::is_object));
    if (error.is_object()) {
      field(error, where + ".error", "code", is_text);
      field(error, where + ".error", "address", or_null(is_hex));
      field(error, where + ".error", "message", is_text);
    }
    if ((end == "truncated" || end == "error") && error.is_null())
      problems.push_back(where + " ends without a reason");
    if (command == JsonOf::list) {
      if (greenlet.contains("frames")) problems.push_back(where + " has frames in a list");
      return;
    }
    const json& list = field(greenlet, where, "frames", &json::is_array);
    frames(list, where);
    const json& unmerged = field(greenlet, where, "unmerged", or_null(is_text));
    const json& python = field(greenlet, where, "python_frames", or_null(&json::is_array));
    if (python.is_array()) frames(python, where + ".python_frames");
    if (unmerged.is_null() != python.is_null()) problems.push_back(where + " is unmerged without a reason");
    field(greenlet, where, "python_error", or_null(&json::is_object));
    if (end == "base" && list.empty()) problems.push_back(where + " reached its base without a frame");
  }

  void groups(const json& document) {
    std::size_t last = SIZE_MAX;
    std::set<std::string> seen;
    for (const json& group : field(document, "document", "groups", &json::is_array)) {
      const json& count = field(group, "group", "count", is_count);
      const json& ids = field(group, "group", "ids", &json::is_array);
      frames(field(group, "group", "frames", &json::is_array), "group");
      if (!is_count(count) || ids.size() != count.get<std::size_t>())
        problems.emplace_back("a group's count is not that of its ids");
      if (ids.size() > last) problems.emplace_back("groups are not largest first");
      last = ids.size();
      for (const json& id : ids) {
        if (!seen.insert(id.get<std::string>()).second) problems.push_back("in two groups: " + id.dump());
      }
    }
    if (seen.size() != document.value("greenlets", json::array()).size())
      problems.emplace_back("a greenlet is in no group");
  }
};

}  // namespace

std::vector<std::string> contract_violations(const json& document, JsonOf command) {
  Checker check;
  check.field(document, "document", "schema", [](const json& value) { return value == "coppice.snapshot"; });
  check.field(document, "document", "version", [](const json& value) { return value == 1; });
  const json& target = check.field(document, "document", "target", &json::is_object);
  check.field(target, "target", "kind", one_of({"live", "core", "lent"}));
  check.field(target, "target", "pid", or_null(is_count));
  for (const char* name : {"executable", "command_line", "core"})
    check.field(target, "target", name, or_null(is_text));

  for (const json& thread : check.field(document, "document", "threads", &json::is_array)) {
    for (const char* name : {"tid", "nstid"}) check.field(thread, "thread", name, or_null(is_count));
    for (const char* name : {"name", "current", "main"})
      check.field(thread, "thread", name, or_null(is_text));
  }
  const json& greenlets = check.field(document, "document", "greenlets", &json::is_array);
  for (std::size_t i = 0; i < greenlets.size(); ++i) {
    check.greenlet(greenlets[i], fmt::format("greenlets[{}]", i), command);
  }
  const json& stats = check.field(document, "document", "stats", &json::is_object);
  for (const char* name : {"greenlets", "frames", "torn", "retried", "lost", "incomplete"}) {
    check.field(stats, "stats", name, is_count);
  }
  if (command == JsonOf::groups) {
    check.groups(document);
  } else if (document.contains("groups")) {
    check.problems.emplace_back("groups where none were asked for");
  }
  return check.problems;
}

}  // namespace coppice::inspect::testing

#include "inspect/export/json.hpp"

#include "inspect/export/json_writer.hpp"
#include "inspect/snapshot/wait_graph.hpp"

namespace coppice::inspect {
namespace {

/// 0 and the like stand for "unknown" in the structures; null says so in JSON.
std::optional<Address> known(Address address) {
  return address ? std::optional(address) : std::nullopt;
}
std::optional<pid_t> known(pid_t pid) {
  return pid > 0 ? std::optional(pid) : std::nullopt;
}

void write_target(JsonWriter& json, const Snapshot& snapshot) {
  const SnapshotTarget& target = snapshot.target;
  json.key("target");
  json.open_object();
  json.text_field("kind", target.kind);
  json.number_field("pid", known(target.pid));
  json.text_field("executable", target.executable);
  json.text_field("command_line", target.command_line);
  json.text_field("core", target.core);
  json.boolean_field("died", snapshot.target_died);
  json.close_object();
}

void write_threads(JsonWriter& json, const std::vector<SnapshotThread>& threads) {
  json.key("threads");
  json.open_array();
  for (const SnapshotThread& thread : threads) {
    json.open_object();
    json.number_field("tid", known(thread.tid));
    json.number_field("nstid", thread.nstid);
    json.text_field("name", thread.name);
    json.id_field("current", thread.current);
    json.id_field("main", thread.main);
    json.close_object();
  }
  json.close_array();
}

void write_error(JsonWriter& json, std::string_view key, const std::optional<Error>& error) {
  json.key(key);
  if (!error) return json.null();
  json.open_object();
  json.text_field("code", name(error->code));
  json.address_field("address", known(error->address));
  json.text_field("message", error->message);
  json.close_object();
}

/// What could not be read is null, not empty.
void write_locals(JsonWriter& json, const PythonLocals& locals) {
  json.key("locals");
  if (locals.error) {
    json.null();
  } else {
    json.open_array();
    for (const PythonLocal& local : locals.locals) {
      json.open_object();
      json.text_field("name", local.name);
      json.text_field("value", local.value);
      json.close_object();
    }
    json.close_array();
  }
  json.number_field("locals_left_out", locals.left_out);
  write_error(json, "locals_error", locals.error);
}

void write_frame(JsonWriter& json, const Frame& frame) {
  json.open_object();
  json.text_field("kind", frame.kind == Frame::Kind::native ? "native" : "python");
  json.address_field("pc", known(frame.pc));
  json.address_field("sp", known(frame.sp));
  json.text_field("module", frame.module);
  json.text_field("build_id", frame.build_id);
  json.address_field("offset", frame.offset);
  json.text_field("function", frame.function);
  json.text_field("file", frame.file);
  json.number_field("line", frame.line ? std::optional(frame.line) : std::nullopt);
  json.boolean_field("inlined", frame.inlined);
  if (frame.locals) write_locals(json, *frame.locals);
  json.close_object();
}

void write_frames(JsonWriter& json, std::string_view key, const std::vector<Frame>& frames) {
  json.key(key);
  json.open_array();
  for (const Frame& frame : frames) write_frame(json, frame);
  json.close_array();
}

/// Unstarted and finished greenlets have no stack; of a running one only the base is fixed.
void write_slice(JsonWriter& json, const Greenlet& greenlet) {
  const bool sleeps = asleep(greenlet.state);
  const bool has_base = sleeps || greenlet.state == State::running;
  const Slice& slice = greenlet.slice;
  const auto when_asleep = [sleeps](std::uint64_t value) {
    return sleeps ? std::optional(value) : std::nullopt;
  };
  json.key("slice");
  json.open_object();
  json.address_field("start", when_asleep(slice.start));
  json.address_field("stop", has_base ? known(slice.stop) : std::nullopt);
  json.number_field("saved", when_asleep(slice.saved));
  json.number_field("unsaved", when_asleep(slice.unsaved()));
  json.close_object();
}

void write_waiting(JsonWriter& json, const std::optional<Waiting>& waiting) {
  json.key("waiting");
  if (!waiting) return json.null();
  json.open_object();
  json.text_field("kind", waiting->kind);
  json.number_field("value", waiting->value);
  json.text_field("detail", waiting->detail);
  json.id_field("greenlet", waiting->greenlet);
  json.close_object();
}

void write_end(JsonWriter& json, End end) {
  json.key("end");
  switch (end) {
    case End::unwalked:
      return json.null();
    case End::base:
      return json.string("base");
    case End::truncated:
      return json.string("truncated");
    case End::error:
      return json.string("error");
  }
}

/// What only our runtime counts; null for greenlets of others.
void write_counters(JsonWriter& json, const Greenlet& greenlet) {
  const auto counter = [counted = greenlet.counted()](std::uint64_t value) {
    return counted ? std::optional(value) : std::nullopt;
  };
  json.address_field("spawn_pc", known(greenlet.spawn_pc));
  json.id_field("spawner", greenlet.spawner);
  json.number_field("switches", counter(greenlet.switches));
  json.number_field("bytes_saved", counter(greenlet.bytes_saved));
  json.number_field("bytes_restored", counter(greenlet.bytes_restored));
  json.number_field("last_switch_unix_ns", greenlet.last_switch_unix_ns);
}

/// What only gevent knows; null for other greenlets, and where nobody asked.
void write_origin(JsonWriter& json, const std::optional<Origin>& origin) {
  json.text_field("function", origin ? origin->function : std::string());
  json.key("arguments");  // may be none, and then known nevertheless
  if (origin) {
    json.string(origin->arguments);
  } else {
    json.null();
  }
  json.number_field("minimal_ident", origin ? origin->minimal_ident : std::nullopt);
  json.key("spawn_stack");
  if (!origin) return json.null();
  json.open_array();
  for (const Frame& frame : origin->stack) {
    json.open_object();
    json.text_field("function", frame.function);
    json.text_field("file", frame.file);
    json.number_field("line", frame.line ? std::optional(frame.line) : std::nullopt);
    json.close_object();
  }
  json.close_array();
}

void write_greenlet(JsonWriter& json, const SnapshotGreenlet& entry, bool frames) {
  const Greenlet& greenlet = entry.greenlet;
  json.open_object();
  json.text_field("id", greenlet.id);
  json.address_field("address", known(greenlet.address));
  json.text_field("name", greenlet.name);
  json.text_field("type", greenlet.type);
  json.text_field("provider", greenlet.provider);
  json.text_field("state", name(greenlet.state));
  json.boolean_field("main", greenlet.main);
  json.number_field("tid", greenlet.tid);
  json.number_field("nstid", greenlet.nstid);
  json.id_field("parent", greenlet.parent);
  write_waiting(json, greenlet.waiting);
  write_slice(json, greenlet);
  if (frames) {
    write_frames(json, "frames", entry.frames);
    if (entry.unmerged.empty()) {
      json.key("python_frames");
      json.null();
    } else {
      write_frames(json, "python_frames", entry.python_frames);
    }
    json.text_field("unmerged", entry.unmerged);
    write_error(json, "python_error", entry.python_error);
  }
  write_end(json, entry.end);
  write_error(json, "error", entry.error);
  write_counters(json, greenlet);
  write_origin(json, entry.origin);
  write_error(json, "origin_error", entry.origin_error);
  json.close_object();
}

bool write_groups(JsonWriter& json, const Snapshot& snapshot) {
  json.key("groups");
  json.open_array();
  for (const Group& group : group_equal_stacks(snapshot)) {
    json.open_object();
    json.number_field("count", group.members.size());
    json.key("ids");
    json.open_array();
    for (std::size_t member : group.members) json.string(snapshot.greenlets[member].greenlet.id);
    json.close_array();
    write_frames(json, "frames", snapshot.greenlets[group.members.front()].frames);
    json.close_object();
    if (!json.flush_if_large()) return false;
  }
  json.close_array();
  return true;
}

void write_stats(JsonWriter& json, const SnapshotStats& stats) {
  json.key("stats");
  json.open_object();
  json.number_field("greenlets", stats.greenlets);
  json.number_field("unstarted", stats.unstarted);
  json.number_field("finished", stats.finished);
  json.number_field("running", stats.running);
  json.number_field("suspended", stats.suspended);
  json.number_field("orphaned", stats.orphaned);
  json.number_field("frames", stats.frames);
  json.number_field("torn", stats.torn);
  json.number_field("retried", stats.retried);
  json.number_field("lost", stats.lost);
  json.number_field("switches", stats.switches);
  json.number_field("bytes_copied", stats.bytes_copied);
  json.number_field("incomplete", stats.incomplete);
  json.number_field("taken_unix_ns", std::optional(stats.taken_unix_ns));
  json.number_field("read_ns", stats.read_ns);
  json.number_field("unwind_ns", stats.unwind_ns);
  json.number_field("symbolize_ns", stats.symbolize_ns);
  json.close_object();
}

void write_ids(JsonWriter& json, const Snapshot& snapshot, const std::vector<std::size_t>& numbers) {
  json.open_array();
  for (const std::size_t number : numbers) json.string(snapshot.greenlets[number].greenlet.id);
  json.close_array();
}

void write_waits(JsonWriter& json, const Snapshot& snapshot) {
  const WaitGraph graph = wait_graph(snapshot);
  json.key("waits");
  json.open_array();
  for (const WaitGroup& group : graph.groups) {
    json.open_object();
    json.text_field("kind", group.kind);
    json.number_field("value", group.value);
    json.text_field("detail", group.what);
    json.id_field("greenlet", group.greenlet ? std::optional(snapshot.greenlets[*group.greenlet].greenlet.id)
                                             : std::nullopt);
    json.key("ids");
    write_ids(json, snapshot, group.waiting);
    json.close_object();
  }
  json.close_array();
  json.key("cycles");
  json.open_array();
  for (const auto& cycle : graph.cycles) write_ids(json, snapshot, cycle);
  json.close_array();
}

}  // namespace

bool write_json(const Snapshot& snapshot, const JsonOptions& options, const Sink& sink) {
  JsonWriter json(sink);
  json.open_object();
  json.text_field("schema", "coppice.snapshot");
  json.number_field("version", json_version);
  write_target(json, snapshot);
  write_threads(json, snapshot.threads);
  json.key("greenlets");
  json.open_array();
  for (const SnapshotGreenlet& greenlet : snapshot.greenlets) {
    write_greenlet(json, greenlet, options.frames);
    if (!json.flush_if_large()) return false;
  }
  json.close_array();
  if (options.groups && !write_groups(json, snapshot)) return false;
  if (options.waits) write_waits(json, snapshot);
  write_stats(json, snapshot.stats);
  json.key("warnings");
  json.open_array();
  for (const std::string& warning : snapshot.warnings) json.string(warning);
  json.close_array();
  json.close_object();
  return json.flush() && sink("\n");
}

std::string to_json(const Snapshot& snapshot, const JsonOptions& options) {
  std::string text;
  write_json(snapshot, options, [&text](std::string_view piece) {
    text += piece;
    return true;
  });
  return text;
}

}  // namespace coppice::inspect

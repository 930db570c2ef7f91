// C frames and Python frames in one listing: what is proven is merged, what is not is shown side by side.
#include <string>
#include <vector>

#include "inspect/snapshot/merge.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::inspect;

namespace {

constexpr const char* python = "/usr/lib/libpython3.12.so.1.0";
constexpr Address evaluator_start = 0x7f00'0000'1000;
constexpr std::uint64_t evaluator_size = 0x800;

Evaluator evaluator() {
  return {python, evaluator_start, evaluator_size};
}

/// A stack of C frames, each 0x100 bytes, innermost first.
class Native {
 public:
  Native& frame(const char* function, const char* module = python, bool inlined = false) {
    Frame frame;
    frame.pc = 0x5000 + ++count_;
    frame.sp = sp_;
    frame.cfa = sp_ + 0x100;
    frame.function = function;
    frame.module = module;
    frame.inlined = inlined;
    if (!inlined) sp_ += 0x100;
    entry_.frames.push_back(frame);
    return *this;
  }
  /// An evaluator's frame without a name, as in a stripped interpreter.
  Native& stripped_evaluator() {
    frame("");
    entry_.frames.back().pc = evaluator_start + 0x20;
    return *this;
  }
  SnapshotGreenlet take(End end = End::base) {
    entry_.end = end;
    return entry_;
  }

 private:
  SnapshotGreenlet entry_;
  Address sp_ = 0x7000;
  Address count_ = 0;
};

/// Python frames by name; one that begins with '|' is the outermost of its run. `entry_frames` are the
/// addresses of the runs' entry frames, in order, or none.
PythonStack stack(const std::vector<std::string>& names, std::vector<Address> entry_frames = {}) {
  PythonStack stack;
  std::size_t run = 0;
  for (const std::string& name : names) {
    PythonFrame& frame = stack.frames.emplace_back();
    frame.entry = name.starts_with('|');
    frame.function = name.substr(frame.entry ? 1 : 0);
    frame.file = "app.py";
    frame.line = 7;
    if (frame.entry && run < entry_frames.size()) frame.entry_frame = entry_frames[run++];
  }
  return stack;
}

/// Function names, Python's in brackets.
std::vector<std::string> listing(const std::vector<Frame>& frames) {
  std::vector<std::string> names;
  for (const Frame& frame : frames) {
    const std::string name(frame.function);
    names.push_back(frame.kind == Frame::Kind::python ? "[" + name + "]" : name);
  }
  return names;
}

using Names = std::vector<std::string>;

Native two_calls() {
  Native native;
  native.frame("slp_switch", "/site-packages/greenlet/_greenlet.cpython-312.so")
      .frame("switch_to_hub", "/site-packages/gevent/_hub.so")
      .frame("_PyEval_EvalFrameDefault")
      .frame("list_sort_impl")
      .frame("_PyEval_EvalFrameDefault")
      .frame("g_initialstub", "/site-packages/greenlet/_greenlet.cpython-312.so");
  return native;
}

}  // namespace

TEST_CASE("Python frames stand where the evaluator ran them, and machinery is folded") {
  const PythonStack calls = stack({"inner", "|key", "sort", "|main"});
  SnapshotGreenlet merged = two_calls().take();
  merge_python(merged, calls, evaluator(), FrameChoice::merged);
  CHECK(listing(merged.frames) == Names{"switch_to_hub", "[inner]", "[key]", "[sort]", "[main]"});
  CHECK(merged.unmerged.empty());
  CHECK(merged.frames[1].file == "app.py");
  CHECK(merged.frames[1].line == 7);
  CHECK(merged.frames[1].pc == 0);

  SnapshotGreenlet native = two_calls().take();
  merge_python(native, calls, evaluator(), FrameChoice::native);
  CHECK(listing(native.frames) == Names{"slp_switch", "switch_to_hub", "[inner]", "[key]",
                                        "_PyEval_EvalFrameDefault", "list_sort_impl", "[sort]", "[main]",
                                        "_PyEval_EvalFrameDefault", "g_initialstub"});
  SnapshotGreenlet only = two_calls().take();
  merge_python(only, calls, evaluator(), FrameChoice::python);
  CHECK(listing(only.frames) == Names{"[inner]", "[key]", "[sort]", "[main]"});
}

TEST_CASE("entry frames prove which C frame runs what, whatever it is called") {
  // sp of the third frame is 0x7200, of the fifth 0x7400.
  Native native;
  native.frame("a", "/lib/a.so").frame("b", "/lib/a.so").frame("").frame("c", "/lib/a.so").frame("");
  SnapshotGreenlet merged = native.take();
  merge_python(merged, stack({"|key", "|main"}, {0x7210, 0x74f8}), evaluator(), FrameChoice::merged);
  CHECK(listing(merged.frames) == Names{"a", "b", "[key]", "c", "[main]"});

  SnapshotGreenlet outside = native.take();
  merge_python(outside, stack({"|key", "|main"}, {0x7210, 0x9000}), evaluator(), FrameChoice::merged);
  CHECK(outside.unmerged.find("0x9000") != std::string::npos);
  CHECK(listing(outside.frames) == Names{"a", "b", "", "c", ""});
  CHECK(listing(outside.python_frames) == Names{"[key]", "[main]"});

  // An address beyond the frame's CFA belongs to its caller; the order of both must agree.
  SnapshotGreenlet swapped = native.take();
  merge_python(swapped, stack({"|key", "|main"}, {0x7410, 0x7210}), evaluator(), FrameChoice::merged);
  CHECK_FALSE(swapped.unmerged.empty());
}

TEST_CASE("an evaluator without a name is told by its exported range, its cold part by its name") {
  Native native;
  native.frame("f", "/lib/a.so")
      .stripped_evaluator()
      .frame("g", "/lib/a.so")
      .frame("_PyEval_EvalFrameDefault.cold");
  SnapshotGreenlet merged = native.take();
  merge_python(merged, stack({"|x", "|y"}), evaluator(), FrameChoice::merged);
  CHECK(listing(merged.frames) == Names{"f", "[x]", "g", "[y]"});

  // A return address just behind it is its last instruction's; one at its start is another function's.
  Native edges;
  edges.frame("", python).frame("", python);
  SnapshotGreenlet at_edges = edges.take();
  at_edges.frames[0].pc = evaluator_start + evaluator_size;
  at_edges.frames[1].pc = evaluator_start;
  merge_python(at_edges, stack({"|x"}), evaluator(), FrameChoice::merged);
  CHECK(at_edges.unmerged.empty());
  CHECK(listing(at_edges.frames) == Names{"[x]"});
}

TEST_CASE("numbers that do not fit are not forced together") {
  SnapshotGreenlet more = two_calls().take();
  merge_python(more, stack({"|a", "|b", "|c"}), evaluator(), FrameChoice::merged);
  CHECK(more.unmerged.find("2 C frames") != std::string::npos);
  CHECK(more.unmerged.find("3 runs") != std::string::npos);
  CHECK(more.frames.size() == 6);
  CHECK(more.python_frames.size() == 3);

  SnapshotGreenlet fewer = two_calls().take();
  merge_python(fewer, stack({"|a"}), evaluator(), FrameChoice::merged);
  CHECK_FALSE(fewer.unmerged.empty());
}

TEST_CASE("stacks that break off are merged as far as they go") {
  SnapshotGreenlet short_native = two_calls().take(End::truncated);
  short_native.frames.resize(4);
  merge_python(short_native, stack({"|key", "sort", "|main"}), evaluator(), FrameChoice::merged);
  CHECK(short_native.unmerged.empty());
  CHECK(listing(short_native.frames) == Names{"switch_to_hub", "[key]", "[sort]", "[main]"});

  SnapshotGreenlet short_python = two_calls().take();
  PythonStack broken = stack({"|key"});
  broken.error = Error{ErrorCode::unreadable, 0x1234, "the memory cannot be read"};
  merge_python(short_python, broken, evaluator(), FrameChoice::native);
  CHECK(short_python.unmerged.empty());
  REQUIRE(short_python.python_error);
  CHECK(short_python.python_error->address == 0x1234);
  CHECK(listing(short_python.frames)[2] == "[key]");
  CHECK(short_python.frames.size() == 7);

  SnapshotGreenlet by_address = two_calls().take(End::truncated);
  by_address.frames.resize(4);
  merge_python(by_address, stack({"|key", "|main"}, {0x7210, 0x7410}), evaluator(), FrameChoice::merged);
  CHECK(by_address.unmerged.empty());
  CHECK(listing(by_address.frames) == Names{"switch_to_hub", "[key]", "[main]"});
}

TEST_CASE("inlined frames stay with the frame they were inlined into") {
  Native native;
  native.frame("helper", "/lib/a.so", true)
      .frame("f", "/lib/a.so")
      .frame("inlined", python, true)
      .frame("_PyEval_EvalFrameDefault");
  SnapshotGreenlet merged = native.take();
  merge_python(merged, stack({"|x"}), evaluator(), FrameChoice::native);
  CHECK(listing(merged.frames) == Names{"helper", "f", "[x]", "inlined", "_PyEval_EvalFrameDefault"});
  SnapshotGreenlet folded = native.take();
  merge_python(folded, stack({"|x"}), evaluator(), FrameChoice::merged);
  CHECK(listing(folded.frames) == Names{"helper", "f", "[x]"});
}

TEST_CASE("nameless frames of gevent are shown only where no Python frame says more") {
  Native native;
  native.frame("", "/site-packages/gevent/_gevent_cqueue.so")
      .frame("named", "/site-packages/gevent/_gevent_cevent.so");
  SnapshotGreenlet alone = native.take();
  merge_python(alone, {}, evaluator(), FrameChoice::merged);
  CHECK(listing(alone.frames) == Names{"", "named"});
  native.frame("_PyEval_EvalFrameDefault").frame("", "/site-packages/other.so");
  SnapshotGreenlet with_python = native.take();
  merge_python(with_python, stack({"|x"}), evaluator(), FrameChoice::merged);
  CHECK(listing(with_python.frames) == Names{"named", "[x]", ""});
}

TEST_CASE("a stack of nothing but machinery is shown rather than nothing") {
  Native native;
  native.frame("slp_switch", "/site-packages/greenlet/_greenlet.so")
      .frame("cfunction_call")
      .frame("start_thread", "/lib/libc.so.6");
  SnapshotGreenlet merged = native.take();
  merge_python(merged, {}, evaluator(), FrameChoice::merged);
  CHECK(merged.frames.size() == 3);
  SnapshotGreenlet empty;
  merge_python(empty, {}, evaluator(), FrameChoice::merged);
  CHECK(empty.frames.empty());
}

TEST_CASE("Python frames are told apart by their lines when stacks are grouped") {
  Snapshot snapshot;
  for (std::uint32_t line : {7U, 7U, 8U}) {
    SnapshotGreenlet& entry = snapshot.greenlets.emplace_back();
    entry.frames = to_frames(stack({"|f"}));
    entry.frames[0].line = line;
  }
  CHECK(group_equal_stacks(snapshot).size() == 2);
}

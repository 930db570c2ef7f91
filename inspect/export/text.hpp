// Snapshot to text for people: what `gldump` and `gltop --once` print.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "inspect/export/sink.hpp"
#include "inspect/snapshot/snapshot.hpp"

namespace coppice::inspect {

/// How to print.
struct TextStyle {
  bool color = false;     ///< SGR colours
  std::size_t width = 0;  ///< of the terminal, for `list`; 0: lines are never cut
};

/// One line a greenlet, under a heading, columns aligned. False when the sink took no more.
bool write_list(const Snapshot& snapshot, const TextStyle& style, const Sink& sink);

/// Every greenlet with its backtrace, in the order of the snapshot. A stack's end is always told: "base",
/// or "truncated: <why>". False when the sink took no more.
bool write_backtraces(const Snapshot& snapshot, const TextStyle& style, const Sink& sink);

/// Equal stacks merged, largest first: "12 greenlets: 4, 7, 9, ...". False when the sink took no more.
bool write_groups(const Snapshot& snapshot, const TextStyle& style, const Sink& sink);

/// Who waits for what: circles of greenlets that wait for each other, then greenlets that wait for the same
/// thing, most first. False when the sink took no more.
bool write_waits(const Snapshot& snapshot, const TextStyle& style, const Sink& sink);

// The pieces, for views that lay out lines themselves. No newline at the end.

/// `7 "worker" suspended, thread 812, waiting for fd 5, slice 1440 bytes (1200 saved, 240 on the thread's
/// stack)`
std::string header_line(const SnapshotGreenlet& greenlet, const TextStyle& style);
/// `Process 4242: /usr/bin/python3 -m gunicorn ...`, cut to the width where there is one.
std::string process_line(const SnapshotTarget& target, const TextStyle& style);
/// `#3  0x0000563f1c2d4e5f in serve (...) at server.cpp:88`
std::string frame_line(const Frame& frame, std::size_t number, const TextStyle& style);
/// `base`, `truncated: no unwind info for libfoo.so at 0x7f00...`, `error: ...`, or why it was not walked.
std::string end_line(const SnapshotGreenlet& greenlet, const TextStyle& style);
/// Of a stack that was not walked to its base: `truncated: <why>` or `error: <why>`; where Python frames
/// stand beyond that place, which is not their end, `native frames truncated: <why>`. An empty `why` is not
/// known.
std::string early_end(const SnapshotGreenlet& greenlet, std::string_view why);
/// Its name; of a greenlet of CPython that has none its class, without the module: "Hub". Printable.
std::string display_name(const Greenlet& greenlet);
/// "fd 5"; empty when it waits for nothing.
std::string waiting_text(const Greenlet& greenlet);
/// The message, with the address where it does not name that already.
std::string describe(const Error& error);

}  // namespace coppice::inspect

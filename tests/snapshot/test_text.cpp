// The text views against golden files, and hostile names against the terminal.
#include <sstream>

#include "golden.hpp"
#include "inspect/base/printable.hpp"
#include "inspect/export/text.hpp"
#include "sample_snapshot.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

namespace {

using Writer = bool (*)(const Snapshot&, const TextStyle&, const Sink&);

std::string text_of(Writer write, const TextStyle& style = {}, const Snapshot& snapshot = sample_snapshot()) {
  std::string text;
  REQUIRE(write(snapshot, style, [&text](std::string_view piece) {
    text += piece;
    return true;
  }));
  return text;
}

}  // namespace

TEST_CASE("the text views of the sample are the golden ones") {
  check_golden("list.txt", text_of(write_list));
  check_golden("backtraces.txt", text_of(write_backtraces));
  check_golden("groups.txt", text_of(write_groups));
}

TEST_CASE("without colour no escape reaches the terminal, with colour each is closed") {
  for (Writer write : {&write_list, &write_backtraces, &write_groups}) {
    CHECK(text_of(write).find('\x1b') == std::string::npos);
    const std::string colored = text_of(write, {.color = true});
    std::size_t opened = 0, closed = 0;
    for (std::size_t at = colored.find("\x1b["); at != std::string::npos;
         at = colored.find("\x1b[", at + 1)) {
      ++(colored.compare(at, 4, "\x1b[0m") == 0 ? closed : opened);
    }
    CHECK(opened > 0);
    CHECK(opened == closed);
  }
}

TEST_CASE("local variables stand below their frame, what it runs and who spawned it before all") {
  const std::string text = text_of(write_backtraces, {}, snapshot_with_locals());
  const std::string expected =
      "    runs Shop.serve(1, name='x'), minimal_ident 7\n"
      "    spawned by greenlet 1 at shop.py:46 in pay\n"
      "#0  python             in pay at shop.py:46\n"
      "        amount = 12\n"
      "        note = '\\x1b[2J'\n"
      "        and 3 more\n"
      "#1  python             in serve at shop.py:46\n"
      "        variables missing: the function returned at 0x7f1000\n";
  INFO(text);
  CHECK(text.find(expected) != std::string::npos);
}

TEST_CASE("what a greenlet runs is missing with a reason where it has gone on") {
  Snapshot snapshot = snapshot_with_locals();
  snapshot.greenlets[0].origin.reset();
  snapshot.greenlets[0].origin_error = Error{ErrorCode::torn, 0, "it ran on"};
  CHECK(text_of(write_backtraces, {}, snapshot).find("\n    function and spawner missing: it ran on\n#0") !=
        std::string::npos);
}

TEST_CASE("of which frames the end is told, where Python frames go on beyond it") {
  SnapshotGreenlet entry;
  entry.end = End::truncated;
  entry.error = Error{ErrorCode::not_stopped, 0x1000, "rbp is not known"};
  entry.frames.emplace_back();
  CHECK(end_line(entry, {}) == "truncated: rbp is not known at 0x1000");
  entry.frames.emplace_back().kind = Frame::Kind::python;
  CHECK(end_line(entry, {}) == "native frames truncated: rbp is not known at 0x1000");
  entry.python_error = entry.error;
  CHECK(end_line(entry, {}) == "truncated: rbp is not known at 0x1000");
}

TEST_CASE("a list fits the width of the terminal") {
  std::istringstream lines(text_of(write_list, {.width = 60}));
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) CHECK(cells(line) <= 60);
  CHECK(count == 9);
}

TEST_CASE("printable text") {
  CHECK(printable("plain äöü 漢字 🙂") == "plain äöü 漢字 🙂");
  CHECK(printable("\x1b[31m\n\t\x7f") == "\\x1b[31m\\x0a\\x09\\x7f");
  CHECK(printable("\xc2\x9b") == "\\xc2\\x9b");           // C1: CSI
  CHECK(printable("\xe2\x80\xae") == "\\xe2\\x80\\xae");  // right-to-left override
  CHECK(printable("\xff\xc3") == "\\xff\\xc3");           // no UTF-8, and cut off
  CHECK(printable("\xe0\x80\xaf") == "\\xe0\\x80\\xaf");  // overlong
  CHECK(printable("") == "");
  CHECK(cut_to_cells("äöüß", 4) == "äöüß");
  CHECK(cut_to_cells("äöüß", 3) == "äö…");
  CHECK(cut_to_cells("äöüß", 0) == "");
}

TEST_CASE("an error names its address once") {
  CHECK(describe({ErrorCode::unreadable, 0x1000, "cannot read"}) == "cannot read at 0x1000");
  CHECK(describe({ErrorCode::unreadable, 0x1000, "cannot read 0x1000"}) == "cannot read 0x1000");
  CHECK(describe({ErrorCode::torn, 0, ""}) == "torn");
}

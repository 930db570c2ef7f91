// Names from the target on a terminal: harmless, and measured right.
#include <clocale>

#include "tests/support/catch.hpp"
#include "tui/format/function_name.hpp"
#include "tui/format/line.hpp"
#include "tui/format/text.hpp"
#include "tui/format/units.hpp"
#include "tui/terminal/theme.hpp"

using namespace coppice::tui;

namespace {

/// The tests speak of characters, so they need a locale that has them.
struct Utf8Locale {
  Utf8Locale() { REQUIRE(std::setlocale(LC_ALL, "C.UTF-8") != nullptr); }
  ~Utf8Locale() { std::setlocale(LC_ALL, "C"); }
};

}  // namespace

TEST_CASE("control characters, broken UTF-8 and invisible characters are escaped") {
  const Utf8Locale locale;
  CHECK(locale_charset() == Charset::utf8);
  CHECK(printable("plain", Charset::utf8) == "plain");
  CHECK(printable("a\x1b[31mb", Charset::utf8) == "a\\x1b[31mb");
  CHECK(printable("a\nb\tc\rd", Charset::utf8) == "a\\nb\\tc\\rd");
  CHECK(printable(std::string_view("a\0b", 3), Charset::utf8) == "a\\x00b");
  CHECK(printable("\x7f", Charset::utf8) == "\\x7f");
  CHECK(printable("\xc2\x9b", Charset::utf8) == "\\u009b");  // CSI in one character
  CHECK(printable("\xff\xfe", Charset::utf8) == "\\xff\\xfe");
  CHECK(printable("\xe2\x82", Charset::utf8) == "\\xe2\\x82");           // cut short
  CHECK(printable("\xed\xa0\x80", Charset::utf8) == "\\xed\\xa0\\x80");  // a surrogate
  CHECK(printable("a\u202eb", Charset::utf8) == "a\\u202eb");            // right-to-left override
  CHECK(printable("a\u200bb", Charset::utf8) == "a\\u200bb");            // zero-width space
  CHECK(printable("caf\u00e9 \u6f22", Charset::utf8) == "caf\u00e9 \u6f22");
  CHECK(printable("e\u0301", Charset::utf8) == "e\u0301");   // combines with the e
  CHECK(printable("\u0301e", Charset::utf8) == "\\u0301e");  // has nothing to combine with
}

TEST_CASE("without UTF-8 every other byte is escaped") {
  CHECK(locale_charset() == Charset::ascii);
  CHECK(printable("caf\u00e9", Charset::ascii) == "caf\\xc3\\xa9");
  CHECK(cut("abcdef", 4, Charset::ascii) == "abc~");
}

TEST_CASE("width counts columns, not bytes") {
  const Utf8Locale locale;
  CHECK(width("") == 0);
  CHECK(width("abc") == 3);
  CHECK(width("\u6f22\u5b57") == 4);
  CHECK(width("e\u0301") == 1);
}

TEST_CASE("cutting and padding keep to columns") {
  const Utf8Locale locale;
  CHECK(cut("abcdef", 6, Charset::utf8) == "abcdef");
  CHECK(cut("abcdef", 5, Charset::utf8) == "abcd…");
  CHECK(cut("abcdef", 1, Charset::utf8) == "…");
  CHECK(cut("abcdef", 0, Charset::utf8).empty());
  CHECK(cut("\u6f22\u5b57\u6f22", 4, Charset::utf8) == "\u6f22…");  // half of the second would not do
  CHECK(fit("ab", 4, Align::left, Charset::utf8) == "ab  ");
  CHECK(fit("ab", 4, Align::right, Charset::utf8) == "  ab");
  CHECK(fit("\u6f22\u5b57", 3, Align::left, Charset::utf8) == "\u6f22…");
  CHECK(skip("abcdef", 2) == "cdef");
  CHECK(skip("abc", 9).empty());
  CHECK(skip("\u6f22b", 1) == " b");
  for (std::size_t columns = 0; columns < 12; ++columns) {
    CHECK(width(fit("a\u6f22e\u0301b\u5b57", columns, Align::right, Charset::utf8)) == columns);
  }
}

TEST_CASE("a line is cut across its spans") {
  const Utf8Locale locale;
  Line line;
  line.add("abc", Style::label).add("def", Style::value).add("").add("ghi");
  CHECK(line.spans.size() == 3);
  CHECK(line.width() == 9);
  for (std::size_t columns = 0; columns <= 10; ++columns) {
    Line shorter = line;
    shorter.cut(columns, Charset::utf8);
    CHECK(shorter.width() == std::min<std::size_t>(columns, 9));
  }
  line.cut(5, Charset::utf8);
  CHECK(line.text() == "abcd…");
}

TEST_CASE("numbers are short") {
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1'000) == "1,000");
  CHECK(grouped(18'446'744'073'709'551'615U) == "18,446,744,073,709,551,615");
  CHECK(short_number(0) == "0");
  CHECK(short_number(-3) == "0");
  CHECK(short_number(7.5) == "7.5");
  CHECK(short_number(842) == "842");
  CHECK(short_number(999.96) == "1.0k");
  CHECK(short_number(12'345) == "12.3k");
  CHECK(short_number(123'456) == "123k");
  CHECK(short_bytes(512) == "512");
  CHECK(short_bytes(1'024) == "1.0K");
  CHECK(short_bytes(1.5 * 1024 * 1024) == "1.5M");
  using std::chrono::nanoseconds;
  CHECK(short_duration(nanoseconds(-5)) == "0");
  CHECK(short_duration(nanoseconds(999)) == "999ns");
  CHECK(short_duration(nanoseconds(850'000)) == "850us");
  CHECK(short_duration(nanoseconds(23'400'000)) == "23ms");
  CHECK(short_duration(nanoseconds(1'234'000'000)) == "1.2s");
  CHECK(short_duration(nanoseconds(184'000'000'000)) == "3m04");
  CHECK(short_duration(nanoseconds(7'500'000'000'000)) == "2h05");
  CHECK(short_duration(std::chrono::hours(24 * 12)) == "12d");
}

TEST_CASE("numbers fit their columns whatever their size") {
  double number = 0.04;
  for (int i = 0; i < 120; ++i, number *= 1.37) {
    CHECK(short_number(number).size() <= 5);
    CHECK(short_bytes(number).size() <= 5);
  }
  std::int64_t ns = 1;
  for (int i = 0; i < 58; ++i, ns += ns / 2 + 1)
    CHECK(short_duration(std::chrono::nanoseconds(ns)).size() <= 5);
}

TEST_CASE("escape sequences surround the text and never change it") {
  Line line;
  line.add("plain ").add("bold", Style::value).add(" red", Style::bad);
  CHECK(with_escapes(line, true) == "plain \x1b[1mbold\x1b[0m\x1b[1;31m red\x1b[0m");
  line.whole = Style::selected;
  CHECK(with_escapes(line, false) == "\x1b[7mplain \x1b[0m\x1b[7mbold\x1b[0m\x1b[7m red\x1b[0m");
}

TEST_CASE("functions are shortened to their names") {
  CHECK(short_function("main") == "main");
  CHECK(short_function("Server::read(int) const") == "Server::read");
  CHECK(short_function("shop::net::Server::read(int) const") == "Server::read");
  CHECK(short_function("(anonymous namespace)::f(int)") == "f");
  CHECK(short_function("a::(anonymous namespace)::f()") == "f");
  CHECK(short_function("a::(anonymous namespace)::C::f()") == "C::f");
  CHECK(short_function("main::{lambda(int)#1}::operator()(int) const") == "{lambda(int)#1}::operator()");
  CHECK(short_function("std::function<void (a::b)>::swap(X&)") == "function<void (a::b)>::swap");
  CHECK(short_function("operator<<(std::ostream&, T)") == "operator<<");
  CHECK(short_function("ns::P::operator->() const") == "P::operator->");
  CHECK(short_function("libc.so.6+0x1234") == "libc.so.6+0x1234");
  for (const char* odd : {"(", "", "operator", "::", "a::", "<", ">>>::f", "((("}) {
    INFO(odd);
    CHECK(short_function(odd).size() <= std::string_view(odd).size());
  }
}

// Sorting, filtering, searching, and what stays selected.
#include <algorithm>
#include <clocale>
#include <set>

#include "tests/support/catch.hpp"
#include "tests/tui/made_up_source.hpp"
#include "tui/model/columns.hpp"
#include "tui/model/matcher.hpp"
#include "tui/model/sample.hpp"
#include "tui/widgets/greenlet_list.hpp"

using namespace coppice::tui;
using namespace coppice;

namespace {

/// Samples of the made-up program, one after the other.
class Program {
 public:
  explicit Program(std::size_t greenlets) : source_(made_up(greenlets)) {}
  std::shared_ptr<const Sample> sample() {
    auto snapshot = source_.take({});
    REQUIRE(snapshot.ok());
    return maker_.make(std::move(snapshot).value(), {});
  }

 private:
  static MadeUp made_up(std::size_t greenlets) {
    MadeUp what;
    what.greenlets = greenlets;
    return what;
  }
  MadeUpSource source_;
  SampleMaker maker_;
};

const inspect::Greenlet& greenlet(const Sample& sample, std::size_t index) {
  return sample.snapshot.greenlets[index].greenlet;
}

std::string selected_id(const GreenletList& list, const Sample& sample) {
  const auto index = list.selected();
  return index ? greenlet(sample, *index).id : "";
}

}  // namespace

TEST_CASE("rates come from two samples") {
  Program program(40);
  const auto first = program.sample();
  CHECK_FALSE(first->switches_per_second);
  CHECK_FALSE(first->switch_rates[4]);
  const auto second = program.sample();
  REQUIRE(second->switch_rates[4]);
  CHECK(*second->switch_rates[4] == Approx(50.0));  // greenlet 5: 50 switches in a second
  CHECK(*second->bytes_per_second == Approx(1024.0 * 1024.0));
  CHECK(second->torn_so_far == 4);
}

TEST_CASE("counters that went backwards give no rate") {
  SampleMaker maker;
  inspect::Snapshot before;
  before.stats.switches = 100;
  before.stats.taken_unix_ns = 1;
  maker.make(before, {});
  inspect::Snapshot after;
  after.stats.switches = 50;
  after.stats.taken_unix_ns = 1'000'000'001;
  CHECK_FALSE(maker.make(after, {})->switches_per_second);
}

TEST_CASE("every column sorts both ways and loses nobody") {
  Program program(300);
  program.sample();
  const auto sample = program.sample();
  for (const ColumnInfo& column : column_table) {
    for (const bool descending : {false, true}) {
      const auto order = arrange(*sample, {column.column, descending}, {});
      CHECK(std::set(order.begin(), order.end()).size() == 300);
    }
  }
  const auto by_rate = arrange(*sample, {Column::rate, true}, {});
  CHECK(std::is_sorted(by_rate.begin(), by_rate.end(), [&](auto a, auto b) {
    return sample->switch_rates[a].value() > sample->switch_rates[b].value();
  }));
  const auto by_id = arrange(*sample, {Column::id, false}, {});
  CHECK(greenlet(*sample, by_id.front()).id == "1");
  CHECK(greenlet(*sample, by_id[9]).id == "10");  // as a number, not as text
  CHECK(greenlet(*sample, by_id.back()).id == "300");
}

TEST_CASE("what is unknown comes last, either way round") {
  Program program(60);
  const auto sample = program.sample();
  for (const bool descending : {false, true}) {
    const auto order = arrange(*sample, {Column::slice, descending}, {});
    CHECK(greenlet(*sample, order.front()).state == inspect::State::suspended);
    CHECK(greenlet(*sample, order.back()).state != inspect::State::suspended);
  }
}

TEST_CASE("a matcher finds ids, names, states, waits and functions, whatever their case") {
  Program program(40);
  const auto sample = program.sample();
  const auto& five = sample->snapshot.greenlets[4];
  for (const char* text : {"5", "CONNECTION-5", "suspend", "fd 5", "WRITE_resp", "Session::serve"}) {
    INFO(text);
    CHECK(Matcher(text).matches(five));
  }
  CHECK_FALSE(Matcher("read_request").matches(five));
  CHECK(Matcher("").matches(five));
  CHECK_FALSE(Matcher("x").matches(std::string_view()));
}

TEST_CASE("a filter lists exactly what matches") {
  Program program(400);
  const auto sample = program.sample();
  const Matcher matcher("wait_for_lock");
  const auto order = arrange(*sample, {}, matcher);
  CHECK(!order.empty());
  CHECK(order.size() < 400);
  std::size_t expected = 0;
  for (const auto& entry : sample->snapshot.greenlets) {
    expected += std::any_of(entry.frames.begin(), entry.frames.end(),
                            [](const auto& frame) { return frame.function == "wait_for_lock"; })
                    ? 1
                    : 0;
  }
  CHECK(order.size() == expected);
}

TEST_CASE("the selection follows its greenlet through new samples and orders") {
  Program program(100);
  GreenletList list;
  auto sample = program.sample();
  list.set_sample(sample);
  CHECK(selected_id(list, *sample) == "1");  // no rates yet: by id
  sample = program.sample();
  list.set_sample(sample);
  CHECK(selected_id(list, *sample) == "99");  // nobody has moved it: still the first row
  list.render({20, 100}, true, Charset::ascii);
  REQUIRE(list.handle(keys::down));
  const std::string chosen = selected_id(list, *sample);
  CHECK(chosen == "98");
  for (const ColumnInfo& column : column_table) {
    list.set_sort(sort_by(column.column));
    CHECK(selected_id(list, *sample) == chosen);
    sample = program.sample();
    list.set_sample(sample);
    CHECK(selected_id(list, *sample) == chosen);
    const auto lines = list.render({20, 100}, true, Charset::ascii);
    CHECK(std::count_if(lines.begin(), lines.end(),
                        [](const Line& line) { return line.whole == Style::selected; }) == 1);
  }
}

TEST_CASE("a selection that is filtered out comes back with its greenlet") {
  Program program(100);
  GreenletList list;
  const auto sample = program.sample();
  list.set_sample(sample);
  list.set_sort({Column::id, false});
  for (int i = 0; i < 4; ++i) list.handle(keys::down);
  CHECK(selected_id(list, *sample) == "5");
  list.set_filter(Matcher("read_request"));
  CHECK(selected_id(list, *sample) != "5");
  list.set_filter(Matcher("nobody has this"));
  CHECK_FALSE(list.selected());
  list.handle(keys::end);
  CHECK_FALSE(list.selected());
  list.set_filter({});
  CHECK(selected_id(list, *sample) == "5");
}

TEST_CASE("search goes round, both ways, and says when there is nothing") {
  Program program(100);
  GreenletList list;
  const auto sample = program.sample();
  list.set_sample(sample);
  list.set_sort({Column::id, false});
  CHECK(list.find(Matcher("connection-42"), true, true));
  CHECK(selected_id(list, *sample) == "42");
  CHECK(list.find(Matcher("connection-7"), true, false));
  CHECK(selected_id(list, *sample) == "70");
  CHECK(list.find(Matcher("connection-7"), false, false));
  CHECK(selected_id(list, *sample) == "7");
  CHECK(list.find(Matcher("connection-7"), false, false));
  CHECK(selected_id(list, *sample) == "79");
  CHECK_FALSE(list.find(Matcher("nobody"), true, true));
  CHECK(selected_id(list, *sample) == "79");
}

TEST_CASE("lists of any size fit on screens of any size") {
  std::setlocale(LC_ALL, "C.UTF-8");
  for (const std::size_t greenlets : {0U, 1U, 3U, 500U}) {
    Program program(greenlets);
    GreenletList list;
    list.set_sample(program.sample());
    for (const std::size_t rows : {0U, 1U, 2U, 7U, 60U}) {
      for (std::size_t columns = 0; columns < 130; columns += 3) {
        for (const Key key : {keys::page_down, keys::end, keys::right, keys::up, keys::home}) {
          list.handle(key);
          const auto lines = list.render({rows, columns}, true, Charset::utf8);
          REQUIRE(lines.size() <= rows);
          for (const Line& line : lines) {
            INFO(line.text());
            REQUIRE(line.width() <= std::max<std::size_t>(columns, 0));
          }
        }
      }
    }
  }
  std::setlocale(LC_ALL, "C");
}

TEST_CASE("on a narrow screen id, state and frame stay") {
  Program program(30);
  const auto sample = program.sample();
  CHECK(place_columns(*sample, 200).size() == column_table.size());
  const auto narrow = place_columns(*sample, 40);
  CHECK(std::any_of(narrow.begin(), narrow.end(), [](auto c) { return c.column == Column::top; }));
  CHECK(place_columns(*sample, 0).front().column == Column::id);
}

TEST_CASE("of CPython's greenlets no switches are shown, since nobody counts them") {
  SampleMaker maker;
  std::shared_ptr<const Sample> sample;
  for (int second = 0; second < 2; ++second) {
    inspect::Snapshot snapshot;
    snapshot.stats.taken_unix_ns = second * 1'000'000'000LL;
    inspect::Greenlet& one = snapshot.greenlets.emplace_back().greenlet;
    one.id = "0x7f0000001000";
    one.provider = "cpython";
    one.type = "gevent.hub.Hub";
    one.state = inspect::State::suspended;
    one.waiting = inspect::Waiting{"fd", 7, "read socket 7 -> 10.0.0.5:5432 (established)", {}};
    sample = maker.make(std::move(snapshot), {});
  }
  CHECK_FALSE(sample->switches_per_second);
  CHECK_FALSE(sample->switch_rates[0]);
  CHECK(cell(*sample, 0, Column::switches, Charset::utf8).text == "-");
  CHECK(cell(*sample, 0, Column::name, Charset::utf8).text == "Hub");
  const auto width_of = [&](Column column, std::size_t columns) -> std::size_t {
    const auto placed = place_columns(*sample, columns);
    const auto found = std::ranges::find(placed, column, &PlacedColumn::column);
    return found == placed.end() ? 0 : found->width;
  };
  CHECK(width_of(Column::rate, 200) == 0);
  CHECK(width_of(Column::idle, 200) == 0);
  CHECK(width_of(Column::waiting, 200) == sample->longest_waiting);
  CHECK(width_of(Column::waiting, 80) == 18);
}

// Objects read from memory that may hold anything.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "inspect/memory/fakes.hpp"
#include "inspect/snapshot/origins.hpp"
#include "inspect/target/descriptors.hpp"
#include "inspect/waits/eventlet.hpp"
#include "inspect/waits/gevent_objects.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::inspect;

namespace {

constexpr Address heap_start = 0x10'0000;

PythonLayout layout() {
  const auto found = python_layout({0x030b02f0});
  REQUIRE(found);
  return *found;
}

/// A heap of words, built object by object.
class Builder {
 public:
  Address object(Address type, std::initializer_list<std::uint64_t> fields) {
    const Address at = heap_start + words_.size() * 8;
    words_.push_back(1);
    words_.push_back(type);
    words_.insert(words_.end(), fields);
    while (words_.size() % 2 != 0) words_.push_back(0);
    return at;
  }
  Address type(const char* name) {
    const Address text = heap_start + words_.size() * 8;
    std::vector<std::uint64_t> packed((std::strlen(name) + 8) / 8);
    std::memcpy(packed.data(), name, std::strlen(name));
    words_.insert(words_.end(), packed.begin(), packed.end());
    return object(0, {0, text});
  }
  Address array(const std::vector<std::uint64_t>& items) {
    const Address at = heap_start + words_.size() * 8;
    words_.insert(words_.end(), items.begin(), items.end());
    return at;
  }
  std::vector<std::uint64_t>& words() { return words_; }

 private:
  std::vector<std::uint64_t> words_;
};

std::vector<Mapping> mapping(std::size_t size) {
  Mapping heap;
  heap.start = heap_start;
  heap.end = heap_start + size;
  heap.readable = heap.writable = true;
  return {heap};
}

/// Asks until the answer needs nothing more.
template <class Ask>
auto settled(Heap& heap, Ask ask) {
  for (int round = 0; round < 100; ++round) {
    heap.begin();
    auto answer = ask();
    if (!heap.pending()) return answer;
    heap.fetch();
  }
  FAIL("no end of asking");
  return ask();
}

}  // namespace

TEST_CASE("what a list, a tuple and a deque hold") {
  Builder build;
  const Address list_type = build.type("list"), tuple_type = build.type("tuple");
  const Address deque_type = build.type("collections.deque"), other_type = build.type("other");
  const Address items = build.array({0x111, 0x222, 0x333});
  const Address list = build.object(list_type, {3, items});
  const Address tuple = build.object(tuple_type, {2, 0x444, 0x555});
  std::vector<std::uint64_t> second(66, 0);
  second[1] = 0x777;
  const Address right = build.array(second);
  std::vector<std::uint64_t> first(66, 0);
  first[64] = 0x666;
  first[65] = right;
  const Address left = build.array(first);
  const Address deque = build.object(deque_type, {2, left, right, 63, 0});
  const Address other = build.object(other_type, {3, items});
  const Address table = build.array({0x888, 1, 0, 0, 0x999, 2, 0, 0});
  const Address set = build.object(build.type("set"), {2, 2, 3, table});
  build.words().resize(build.words().size() + 64);  // names are read a piece at a time

  FakeMemory memory;
  memory.put(heap_start, std::as_bytes(std::span(build.words())));
  Heap heap(memory, layout(), mapping(build.words().size() * 8));
  const auto items_of = [&](Address object) { return settled(heap, [&] { return heap.items(object); }); };
  CHECK(items_of(list) == std::vector<Address>{0x111, 0x222, 0x333});
  CHECK(items_of(tuple) == std::vector<Address>{0x444, 0x555});
  CHECK(items_of(deque) == std::vector<Address>{0x666, 0x777});
  CHECK(items_of(set) == std::vector<Address>{0x888, 0x999});
  CHECK(items_of(other).empty());
  CHECK(items_of(0xdead'beef'0000).empty());
  CHECK(settled(heap, [&] { return heap.type_name(list); }) == "list");
}

TEST_CASE("memory that holds anything is survived") {
  const unsigned seed = 20261123;
  std::mt19937_64 random(seed);
  INFO("seed " << seed);
  for (int trial = 0; trial < 300; ++trial) {
    Builder build;
    std::vector<Address> types;
    for (const char* name : {"list", "tuple", "collections.deque", "dict", "str", "set", "int", "float",
                             "code", "builtin_function_or_method"})
      types.push_back(build.type(name));
    const std::size_t types_end = build.words().size();
    build.words().resize(2000);
    for (std::size_t i = types_end; i < build.words().size(); ++i) {
      std::uint64_t& word = build.words()[i];
      switch (random() % 4) {
        case 0:
          word = types[random() % types.size()];
          break;
        case 1:
          word = random() % 70;
          break;
        case 2:
          word = heap_start + random() % 2000 * 8;
          break;
        default:
          word = random();
      }
    }
    FakeMemory memory;
    memory.put(heap_start, std::as_bytes(std::span(build.words())));
    memory.remove(heap_start + random() % 16000, random() % 512);
    Heap heap(memory, layout(), mapping(16000));
    GeventObjects objects(heap);
    for (int i = 0; i < 40; ++i) {
      const Address object = heap_start + random() % 2000 * 8, other = heap_start + random() % 2000 * 8;
      (void)settled(heap, [&] { return heap.items(object); });
      (void)settled(heap, [&] { return heap.attribute(object, "name"); });
      (void)settled(heap, [&] { return heap.ascii(object); });
      (void)settled(heap, [&] { return heap.classes(object).size(); });
      (void)settled(heap, [&] { return heap.bound_method(object).has_value(); });
      (void)settled(heap, [&] { return heap.integer(object); });
      (void)settled(heap, [&] { return heap.real(object); });
      (void)settled(heap, [&] { return objects.notifies(object, other); });
      (void)settled(heap, [&] { return objects.queues(object, other); });
      (void)settled(heap, [&] { return objects.kind_of(object); });
      (void)settled(heap, [&] { return objects.remaining(object, other).size(); });
      (void)settled(heap, [&] { return objects.use_of(object).items.has_value(); });
      (void)settled(heap, [&] { return heap.size(object).has_value(); });
      (void)settled(heap, [&] { return objects.watcher_calls(object, other); });
      (void)settled(heap, [&] { return objects.waits_for(object, other); });
      (void)settled(heap, [&] { return objects.io(object); });
      (void)settled(heap, [&] { return objects.timer_due(object); });
    }
  }
}

TEST_CASE("frames and objects of eventlet that hold anything are survived") {
  const unsigned seed = 20261124;
  std::mt19937_64 random(seed);
  INFO("seed " << seed);
  for (int trial = 0; trial < 400; ++trial) {
    const std::uint32_t version = 0x03000000U + ((8U + static_cast<std::uint32_t>(trial % 8)) << 16U);
    const auto python = python_layout({version});
    REQUIRE(python);
    Builder build;
    std::vector<Address> types;
    for (const char* name :
         {"code", "tuple", "list", "set", "str", "float", "eventlet.hubs.hub.BaseHub", "eventlet.event.Event",
          "eventlet.hubs.timer.Timer", "eventlet.hubs.hub.FdListener", "eventlet.queue.LightQueue"}) {
      types.push_back(build.type(name));
    }
    const std::size_t types_end = build.words().size();
    build.words().resize(3000);
    for (std::size_t i = types_end; i < build.words().size(); ++i) {
      const std::array<std::uint64_t, 4> choices{types[random() % types.size()], random() % 40,
                                                 heap_start + random() % 3000 * 8, random()};
      build.words()[i] = choices[random() % choices.size()];
    }
    FakeMemory memory;
    memory.put(heap_start, std::as_bytes(std::span(build.words())));
    Heap heap(memory, *python, mapping(24000));
    const WaitContext context;
    std::unordered_map<Address, const Greenlet*> all;
    EventletWaits eventlet(heap, context, all);
    for (int i = 0; i < 20; ++i) {
      Greenlet greenlet;
      greenlet.address = heap_start + random() % 3000 * 8;
      greenlet.python = PythonPosition{heap_start + random() % 3000 * 8, heap_start + random() % 3000 * 8, 0};
      WaitSearch search;
      search.greenlet = &greenlet;
      search.variables = std::make_unique<PythonVariables>(*python, PythonRequest::of_greenlet(greenlet));
      (void)settled(heap, [&] { return eventlet.find(search).has_value(); });
      (void)settled(heap, [&] { return search.variables->function(heap); });
    }
  }
}

TEST_CASE("origins that hold anything are survived") {
  const unsigned seed = 20261125;
  std::mt19937_64 random(seed);
  INFO("seed " << seed);
  std::size_t found = 0;
  for (int trial = 0; trial < 300; ++trial) {
    PythonRuntime python;
    python.version = {0x03000000U + ((8U + static_cast<std::uint32_t>(trial % 8)) << 16U)};
    python.layout = *python_layout(python.version);
    Builder build;
    const Address frame_type = build.type("gevent._gevent_cgreenlet._Frame"),
                  reference = build.type("weakref");
    python.types.tuple = build.type("tuple");
    python.types.dictionary = build.type("dict");
    python.types.string = build.type("str");
    python.types.integer = build.type("int");
    python.types.code = build.type("code");
    const std::vector<Address> types = {
        frame_type,           reference,           python.types.tuple, python.types.dictionary,
        python.types.integer, python.types.string, python.types.code,  build.type("function")};
    const std::size_t types_end = build.words().size();
    build.words().resize(3000);
    for (std::size_t i = types_end; i < build.words().size(); ++i) {
      const std::array<std::uint64_t, 4> choices{types[random() % types.size()], random() % 300,
                                                 heap_start + random() % 3000 * 8, random()};
      build.words()[i] = choices[random() % choices.size()];
    }
    // Greenlets that have what is looked for, with anything in it.
    std::vector<SnapshotGreenlet> greenlets(30);
    for (SnapshotGreenlet& entry : greenlets) {
      entry.greenlet.provider = "cpython";
      std::size_t at = types_end + random() % (2800 - types_end);
      entry.greenlet.address = heap_start + at * 8;
      const auto object = [&](Address type) {
        const std::size_t place = types_end + random() % (2900 - types_end);
        build.words()[place + 1] = type;
        return heap_start + place * 8;
      };
      const Address fields[] = {object(python.types.tuple), object(python.types.dictionary),
                                object(reference), object(frame_type)};
      build.words()[at + 1] = heap_start + 2950 * 8;  // a type with this size
      std::ranges::copy(fields, build.words().begin() + static_cast<std::ptrdiff_t>(at) + 4);
    }
    build.words()[2954] = 0x60;
    FakeMemory memory;
    memory.put(heap_start, std::as_bytes(std::span(build.words())));
    read_origins(memory, python, greenlets);
    for (const SnapshotGreenlet& entry : greenlets) found += entry.origin ? 1U : 0U;
  }
  CHECK(found > 500);
}

TEST_CASE("kinds are told by whole names") {
  CHECK(gevent_kind("gevent._gevent_c_waiter.Waiter") == GeventKind::waiter);
  CHECK(gevent_kind("gevent.libev.corecext.io") == GeventKind::io);
  CHECK(gevent_kind("gevent.libev.corecext.timer") == GeventKind::timer);
  CHECK(gevent_kind("gevent._gevent_cevent.Event") == GeventKind::event);
  CHECK(gevent_kind("gevent._gevent_c_semaphore.BoundedSemaphore") == GeventKind::semaphore);
  CHECK(gevent_kind("gevent._gevent_cqueue.Queue") == GeventKind::queue);
  CHECK(gevent_kind("gevent.queue.Queue") == GeventKind::queue);
  CHECK(gevent_kind("gevent.libuv.watcher._multiplexwatcher") == GeventKind::io);
  CHECK(gevent_kind("gevent.libuv.watcher.watcher") == GeventKind::other_watcher);
  CHECK(gevent_kind("gevent.libuv.watcher.libuv_error_wrapper") == GeventKind::none);
  CHECK(gevent_kind("gevent._gevent_cqueue.Channel") == GeventKind::channel);
  CHECK(gevent_kind("threading.Event") == GeventKind::none);
  CHECK(gevent_kind("gevent.libev.corecext.loop") == GeventKind::none);
  CHECK(gevent_kind("") == GeventKind::none);
}

TEST_CASE("addresses of sockets as people write them") {
  CHECK(internet_address("0100007F:1F90") == "127.0.0.1:8080");
  CHECK(internet_address("00000000:0000") == "0.0.0.0:0");
  CHECK(internet_address("00000000000000000000000001000000:0050") == "[::1]:80");
  CHECK(internet_address("0000000000000000FFFF00000100007F:1538") == "[::ffff:127.0.0.1]:5432");
  for (const char* none : {"", ":", "0100007F", "0100007F:", "zz00007F:1F90", "0100007F1:1F90"})
    CHECK(internet_address(none).empty());
}

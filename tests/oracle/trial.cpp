#include "tests/oracle/trial.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "inspect/snapshot/session.hpp"
#include "inspect/target/target.hpp"
#include "tests/oracle/second_opinion.hpp"
#include "tests/oracle/subject.hpp"

namespace coppice::oracle {

using inspect::Error;
using inspect::ErrorCode;
using inspect::Result;

namespace {

Result<Comparison> inspect_and_compare(Result<std::unique_ptr<inspect::Target>> target,
                                       const Announcement& announcement) {
  if (!target.ok()) return std::move(target).error();
  inspect::Session session(std::move(target).value());
  inspect::SnapshotOptions options;
  options.symbols = false;
  auto snapshot = session.take(options);
  if (!snapshot.ok()) return std::move(snapshot).error();
  Comparison comparison = compare(announcement, snapshot.value());
  auto asked = compare_with_libdw(session.target(), snapshot.value(), comparison);
  if (!asked.ok()) return std::move(asked).error();
  return comparison;
}

Result<void> add(std::vector<Inspection>& inspections, const char* how, Result<Comparison> comparison) {
  if (!comparison.ok()) {
    Error error = std::move(comparison).error();
    error.message = std::string(how) + ": " + error.message;
    return error;
  }
  inspections.push_back({how, std::move(comparison).value(), {}});
  return {};
}

bool cannot_be_made_here(const Error& error) {
  return error.code == ErrorCode::no_file || error.code == ErrorCode::unsupported;
}

Result<void> add_core(std::vector<Inspection>& inspections, const char* how, const Result<std::string>& core,
                      const std::string& program, const Announcement& announcement) {
  if (core.ok()) {
    inspect::FileSearch search;
    search.executable = program;
    return add(inspections, how, inspect_and_compare(inspect::open_core(core.value(), search), announcement));
  }
  if (!cannot_be_made_here(core.error())) return core.error();
  inspections.push_back({how, {}, core.error().message});
  return {};
}

}  // namespace

Result<std::vector<Inspection>> inspect_in_every_way(const std::string& program,
                                                     const std::vector<std::string>& arguments) {
  auto started = Subject::start(program, arguments);
  if (!started.ok()) return std::move(started).error();
  Subject& subject = started.value();
  const Announcement& announcement = subject.announcement();
  std::vector<Inspection> inspections;
  Result<void> done =
      add(inspections, "live", inspect_and_compare(inspect::open_process(subject.pid()), announcement));
  if (done.ok()) done = add_core(inspections, "gcore", subject.dump_by_gcore(), program, announcement);
  if (done.ok()) done = add_core(inspections, "kernel core", subject.dump_by_kernel(), program, announcement);
  if (!done.ok()) return std::move(done).error();
  return inspections;
}

bool has_core(const std::vector<Inspection>& inspections) {
  return std::any_of(inspections.begin(), inspections.end(), [](const Inspection& inspection) {
    return inspection.how != "live" && inspection.impossible.empty();
  });
}

Result<int> let_finish(const std::string& program, const std::vector<std::string>& arguments) {
  auto subject = Subject::start(program, arguments);
  if (!subject.ok()) return std::move(subject).error();
  return subject->let_go();
}

std::uint64_t seed_for_this_run() {
  if (const char* given = std::getenv("COPPICE_SEED")) return std::strtoull(given, nullptr, 10);
  return std::random_device{}();
}

std::string missing_variety(const Comparison& c) {
  if (c.greenlets < 5'000) return fmt::format("only {} greenlets", c.greenlets);
  if (c.partly_saved * 20 < c.greenlets)
    return fmt::format("only {} of {} partly saved", c.partly_saved, c.greenlets);
  if (c.unsaved * 100 < c.greenlets) return fmt::format("only {} of {} unsaved", c.unsaved, c.greenlets);
  if (c.distinct_stacks < 1'000) return fmt::format("only {} distinct stacks", c.distinct_stacks);
  return {};
}

}  // namespace coppice::oracle

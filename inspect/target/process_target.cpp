#include "inspect/target/process_target.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <map>

#include <fmt/format.h>

#include "inspect/base/files.hpp"
#include "inspect/target/debug_files.hpp"
#include "inspect/target/image.hpp"
#include "inspect/target/pagemap.hpp"
#include "inspect/target/permission.hpp"
#include "inspect/target/proc_files.hpp"
#include "inspect/target/registers_x86_64.hpp"
#include "inspect/target/stopped_registers.hpp"

namespace coppice::inspect {

namespace {

constexpr std::size_t kSmallFile = 64 * 1024;
constexpr std::size_t kLongestCommandLine = 1 << 20;
constexpr std::size_t kLargestMaps = 256 << 20;
constexpr std::chrono::milliseconds kPatience{50};
constexpr std::string_view kRunning = "running";  // all of /proc/PID/task/TID/syscall of a thread on a CPU

/// The numbers that name the entries of an open folder.
std::vector<pid_t> numbered_entries(UniqueFd folder) {
  std::vector<pid_t> numbers;
  if (!folder) return numbers;
  DIR* entries = fdopendir(folder.release());
  if (entries == nullptr) return numbers;
  while (const dirent* entry = readdir(entries)) {  // NOLINT(concurrency-mt-unsafe): a stream of our own
    pid_t number = 0;
    const char* end = entry->d_name + std::strlen(entry->d_name);
    const auto parsed = std::from_chars(entry->d_name, end, number);
    if (parsed.ec == std::errc() && parsed.ptr == end) numbers.push_back(number);
  }
  closedir(entries);
  std::ranges::sort(numbers);
  return numbers;
}

/// The first line of a thread's whereabouts.
std::optional<BlockedAt> blocked_at(std::string_view whereabouts) {
  return parse_syscall(whereabouts.substr(0, whereabouts.find('\n')));
}

Error no_such_process(pid_t pid, const std::string& why) {
  return {ErrorCode::no_such_process, 0, fmt::format("no process {}: {}", pid, why)};
}

}  // namespace

ProcessTarget::ProcessTarget(pid_t pid, UniqueFd directory, UniqueFd pidfd, FileSearch search)
    : pid_(pid),
      directory_(std::move(directory)),
      pidfd_(std::move(pidfd)),
      search_(std::move(search)),
      files_(directory_.get()) {}

Result<std::unique_ptr<Target>> ProcessTarget::open(pid_t pid, FileSearch search) {
  UniqueFd directory(::open(fmt::format("/proc/{}", pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (pid <= 0 || !directory) {
    return no_such_process(
        pid, "it does not exist, has exited, or /proc hides it (hidepid, another PID namespace)");
  }
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  // Read after the pidfd was made: /proc/PID and pidfd are of one process then.
  auto text = read_text_at(directory.get(), "status", kSmallFile);
  if (!text.ok()) return no_such_process(pid, "it has exited");
  const ProcStatus status = parse_status(*text);
  if (status.thread_group != 0 && status.thread_group != pid)
    return open(status.thread_group, std::move(search));

  auto target = std::unique_ptr<ProcessTarget>(
      new ProcessTarget(pid, std::move(directory), std::move(pidfd), std::move(search)));
  auto threads = target->read_threads();
  if (!threads.ok()) return no_such_process(pid, "it has exited and waits for its parent to notice");
  auto memory = target->open_memory();
  if (!memory.ok()) return std::move(memory).error();
  auto maps = target->read_maps();
  if (!maps.ok()) return std::move(maps).error();
  target->read_names();
  return std::unique_ptr<Target>(std::move(target));
}

Error ProcessTarget::gone() const {
  return {ErrorCode::gone, 0, fmt::format("process {} has exited", pid_)};
}

Result<void> ProcessTarget::open_memory() {
  const int refused = probe_process_vm_readv(living_thread_);
  if (refused == 0) {
    memory_ = std::make_unique<ProcessMemory>(living_thread_, pidfd_.get(), UniqueFd(),
                                              ProcessMemory::Way::process_vm_readv);
    return {};
  }
  if (refused == ESRCH) {
    // A process without memory: on its way out, or one of the kernel's.
    if (read_link_at(directory_.get(), "exe").empty()) {
      return Error{ErrorCode::unsupported, 0,
                   fmt::format("process {} has no memory: it is a kernel thread, or just exiting", pid_)};
    }
    return gone();
  }
  UniqueFd mem(openat(directory_.get(), "mem", O_RDONLY | O_CLOEXEC));
  if (!mem) {
    auto text = read_text_at(directory_.get(), "status", kSmallFile);
    if (!text.ok()) return gone();
    return explain_refusal(pid_, gather_access_facts(directory_.get(), parse_status(*text)), refused);
  }
  memory_ = std::make_unique<ProcessMemory>(living_thread_, pidfd_.get(), std::move(mem),
                                            ProcessMemory::Way::proc_mem);
  return {};
}

std::vector<pid_t> ProcessTarget::thread_ids() const {
  return numbered_entries(UniqueFd(openat(directory_.get(), "task", O_RDONLY | O_CLOEXEC)));
}

Result<void> ProcessTarget::read_threads() {
  std::vector<Thread> threads;
  pid_t living = 0;
  for (const pid_t tid : thread_ids()) {
    auto text = read_text_at(directory_.get(), fmt::format("task/{}/status", tid), kSmallFile);
    if (!text.ok()) continue;  // exited since
    const ProcStatus status = parse_status(*text);
    if (status.exited()) continue;
    if (living == 0) living = tid;
    threads.push_back({tid, status.nstid, status.name, status.state == 'R'});
  }
  if (threads.empty()) return gone();
  threads_ = std::move(threads);
  living_thread_ = living;
  if (memory_) memory_->set_thread(living);
  return {};
}

Result<void> ProcessTarget::read_maps() {
  auto text = read_text_at(directory_.get(), fmt::format("task/{}/maps", living_thread_), kLargestMaps);
  if (!text.ok() && text.error().code == ErrorCode::not_permitted) return std::move(text).error();
  if (!text.ok() || text->empty()) return gone();
  if (*text == maps_text_) return {};
  maps_text_ = std::move(*text);
  ranges_ = parse_maps(maps_text_);
  mappings_.clear();
  for (const MappedRange& range : ranges_) mappings_.push_back(range.mapping);
  find_modules_again();
  return {};
}

void ProcessTarget::find_modules_again() {
  const std::vector<Module> before = std::move(modules_);
  modules_ = find_modules(ranges_, *memory_);
  warnings_.clear();
  for (Module& module : modules_) {
    const MappedRange* range = range_at(ranges_, module.start);
    files_.check(module, range != nullptr ? range->file : FileId{});
    if (module.deleted) {
      warnings_.push_back(
          fmt::format("{} was deleted or replaced since it was loaded: what is shown is what runs, not "
                      "what is there now",
                      module.path));
    }
    const auto same = std::ranges::lower_bound(before, module.start, {}, &Module::start);
    if (same != before.end() && same->start == module.start && same->end == module.end &&
        same->path == module.path && same->build_id == module.build_id && same->deleted == module.deleted) {
      module.identity = same->identity;
    }
  }
}

void ProcessTarget::read_names() {
  executable_ = read_link_at(directory_.get(), fmt::format("task/{}/exe", living_thread_));
  constexpr std::string_view kDeleted = " (deleted)";
  if (executable_.ends_with(kDeleted)) executable_.resize(executable_.size() - kDeleted.size());
  auto arguments =
      read_text_at(directory_.get(), fmt::format("task/{}/cmdline", living_thread_), kLongestCommandLine);
  command_line_ = arguments.ok() ? std::move(*arguments) : std::string();
  while (!command_line_.empty() && command_line_.back() == '\0') command_line_.pop_back();
  std::ranges::replace(command_line_, '\0', ' ');
}

Result<void> ProcessTarget::refresh() {
  auto threads = read_threads();
  if (!threads.ok()) return threads;
  const std::string mapped_before = maps_text_;
  auto maps = read_maps();
  if (maps.ok() && maps_text_ != mapped_before) read_names();  // it may have run another program
  return maps;
}

std::vector<AddressRange> ProcessTarget::populated(Address start, Address end) const {
  const std::string name = fmt::format("task/{}/pagemap", living_thread_);
  const UniqueFd pagemap(openat(directory_.get(), name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!pagemap) return {{start, end}};
  return populated_pages(pagemap.get(), start, end);
}

Result<ThreadRegisters> ProcessTarget::registers(pid_t tid, Stopping stopping) const {
  return hold(tid, stopping, {});
}

/// Equal before and after: the thread has not run in between. How often it has been put on a CPU tells a
/// blocked call from the next one just like it.
std::string ProcessTarget::whereabouts(pid_t tid) const {
  std::string both;
  for (const char* file : {"syscall", "schedstat"}) {
    auto text = read_text_at(directory_.get(), fmt::format("task/{}/{}", tid, file), kSmallFile);
    if (text.ok()) both += *text;
  }
  return both;
}

/// By a signal, or by a tracer.
bool ProcessTarget::stopped_by_another(pid_t tid) const {
  auto status = read_text_at(directory_.get(), fmt::format("task/{}/status", tid), kSmallFile);
  if (!status.ok()) return false;
  const char state = parse_status(*status).state;
  return state == 'T' || state == 't';
}

Result<ThreadRegisters> ProcessTarget::hold_stopped(pid_t tid, const WhileHeld& copy) const {
  ThreadRegisters result;
  auto stopped = copy_registers_stopped(pid_, tid, kPatience, [&](const user_regs_struct& registers) {
    result.registers = x86_64::from_kernel(registers);
    result.complete = true;
    if (copy) copy(result);
  });
  if (!stopped.ok()) return std::move(stopped).error();
  return result;
}

Result<ThreadRegisters> ProcessTarget::hold(pid_t tid, Stopping stopping, const WhileHeld& copy) const {
  constexpr int kTries = 4;
  bool stops = stopping == Stopping::allowed;
  ThreadRegisters result;
  for (int tries = 0; tries < kTries; ++tries) {
    const std::string before = copy ? whereabouts(tid) : std::string();
    auto text = read_text_at(directory_.get(), fmt::format("task/{}/syscall", tid), kSmallFile);
    if (!text.ok()) {
      if (text.error().code == ErrorCode::not_permitted) return std::move(text).error();
      return Error{ErrorCode::gone, 0, fmt::format("thread {} has exited", tid)};
    }
    if (const auto blocked = parse_syscall(*text)) {
      if (stops && !blocked->in_system_call && !stopped_by_another(tid)) {
        auto held = hold_stopped(tid, copy);
        if (held.ok() || held.error().code != ErrorCode::not_stopped) return held;
        stops = false;  // its page is slow to come
        continue;
      }
      result.registers.set(x86_64::rsp, blocked->sp);
      result.registers.set(x86_64::rip, blocked->pc);
      if (!copy) return result;
      copy(result);
      if (whereabouts(tid) == before) return result;
      continue;
    }
    if (!text->starts_with(kRunning)) {
      return Error{ErrorCode::gone, 0, fmt::format("thread {} is exiting", tid)};
    }
    if (stopping == Stopping::never) {
      return Error{ErrorCode::not_stopped, 0,
                   fmt::format("thread {} is running on a CPU, and stopping it is not allowed", tid)};
    }
    return hold_stopped(tid, copy);
  }
  return Error{ErrorCode::torn, 0, fmt::format("thread {} ran on whenever its stack was copied", tid)};
}

std::optional<std::string> ProcessTarget::stillness() const {
  std::string all;
  for (const pid_t tid : thread_ids()) {
    const std::string one = whereabouts(tid);
    // Both files have one line: what is not known to sleep may have run.
    if (one.starts_with(kRunning) || std::ranges::count(one, '\n') != 2) return std::nullopt;
    all += fmt::format("{} {}\n", tid, one);
  }
  return all;
}

std::vector<Error> ProcessTarget::while_still(const WhileStill& copy) const {
  // A stop ends a sleeper's blocking call, so it comes second.
  if (auto done = try_while_still(false, copy)) return *std::move(done);
  return try_while_still(true, copy).value_or(std::vector<Error>());
}

/// None when a thread that was left alone has run, or another has begun.
std::optional<std::vector<Error>> ProcessTarget::try_while_still(bool stop_sleepers,
                                                                 const WhileStill& copy) const {
  std::vector<pid_t> to_stop;
  std::map<pid_t, std::string> left_alone;
  const std::vector<pid_t> tids = thread_ids();
  for (const pid_t tid : tids) {
    std::string place = whereabouts(tid);
    if (place.empty()) continue;  // has exited
    const auto blocked = blocked_at(place);
    const bool sleeps = !place.starts_with(kRunning) && (!blocked || blocked->in_system_call);
    if ((sleeps && !stop_sleepers) || stopped_by_another(tid)) {
      left_alone.emplace(tid, std::move(place));
    } else {
      to_stop.push_back(tid);
    }
  }
  std::vector<Error> errors;
  const auto go = [&](std::span<const StoppedThread> threads) {
    StillThreads still;
    for (const StoppedThread& thread : threads) {
      if (!thread.error) {
        still[thread.tid] = {x86_64::from_kernel(thread.registers), true};
        continue;
      }
      if (thread.error->code == ErrorCode::gone) continue;
      if (thread.error->code == ErrorCode::not_stopped && !stop_sleepers) {
        std::string place = whereabouts(thread.tid);
        if (blocked_at(place)) {  // its page is slow to come
          left_alone.emplace(thread.tid, std::move(place));
          continue;
        }
      }
      errors.push_back(*thread.error);
    }
    for (const auto& [tid, unused] : left_alone) {
      auto held = hold(tid, Stopping::never, {});
      if (held.ok()) still[tid] = *held;
    }
    copy(still);
  };
  if (to_stop.empty()) {
    go({});
  } else if (auto done = while_stopped(pid_, to_stop, kPatience, go); !done.ok()) {
    return std::vector{std::move(done).error()};
  }
  if (stop_sleepers) return errors;
  for (const auto& [tid, place] : left_alone) {
    if (whereabouts(tid) != place) return std::nullopt;
  }
  if (thread_ids() != tids) return std::nullopt;
  return errors;
}

Result<UniqueFd> ProcessTarget::open_image(const Module& module) const {
  const auto own = std::ranges::lower_bound(modules_, module.start, {}, &Module::start);
  const MappedRange* range = range_at(ranges_, module.start);
  if (own == modules_.end() || own->start != module.start || range == nullptr) {
    return Error{ErrorCode::bad_argument, module.start, "no such module in the target"};
  }
  bool from_memory = false;
  auto image = files_.open(*own, *range);
  if (!image.ok()) {
    from_memory = true;
    image = image_from_memory(*own, *memory_);
  }
  if (image.ok() && own->identity.empty()) own->identity = image_identity(image->get(), from_memory);
  return image;
}

Result<UniqueFd> ProcessTarget::open_debug_file(const Module& module, const std::string& build_id,
                                                const std::string& debug_link) const {
  return find_debug_file(module, build_id, debug_link, search_, fmt::format("/proc/{}/root", pid_));
}

Result<std::unique_ptr<Target>> open_process(pid_t pid, FileSearch search) {
  return ProcessTarget::open(pid, std::move(search));
}

}  // namespace coppice::inspect

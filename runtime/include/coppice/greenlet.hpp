// Greenlets: coroutines that share their thread's one C stack.
//
//   coppice::Greenlet g = coppice::spawn([](std::any first) -> std::any {
//     std::any second = coppice::current().parent().switch_to(std::string("hello"));
//     return {};
//   });
//   std::any hello = g.switch_to(1);
//
// A switch copies the part of the stack that the target needs to the heap and the target's part back, so a
// pointer into one greenlet's stack must not be used by another one, nor by the kernel, while the first one
// sleeps. The semantics are those of Python's greenlet: see README.md, "What slicing cannot do", for the
// limits.
#pragma once

#include <any>
#include <cstdint>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

struct coppice_greenlet;  // the control block; its layout is described by debug_abi.h

#pragma GCC visibility push(default)  // libcoppice exports what stands here, and nothing else

namespace coppice {

/// Thrown by the runtime for bad use: switching to a greenlet of another thread, a parent cycle, ... The
/// greenlets concerned are as they were before the call.
class GreenletError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Thrown into a suspended greenlet to end it, so that its destructors run. Deliberately no std::exception,
/// so that `catch (const std::exception&)` lets it pass. A greenlet that ends by it counts as having
/// returned.
struct GreenletExit {};

/// What happened at a switch, for the switch hook.
struct SwitchEvent {
  std::uint64_t from;  ///< id of the greenlet that was left
  std::uint64_t to;    ///< id of the one that runs now
};

/// A shared handle to one greenlet. Copying shares; when the last handle goes while the greenlet is suspended
/// GreenletExit is thrown into it (in its own thread; a handle dropped elsewhere defers that to its next
/// switch), with whoever dropped it as its parent meanwhile; an exception that leaves it then is discarded.
/// Children count as handles to their parent. Greenlets whose stacks hold handles to one another keep each
/// other alive. When a thread exits, suspended greenlets with handles left become orphaned: they never run
/// again, and go without running destructors when the last handle goes. Thread-safety: handles may be copied
/// and dropped anywhere; all else only in the greenlet's own thread.
class Greenlet {
 public:
  Greenlet() noexcept = default;
  Greenlet(const Greenlet& other) noexcept;
  Greenlet(Greenlet&& other) noexcept;
  Greenlet& operator=(const Greenlet& other) noexcept;
  Greenlet& operator=(Greenlet&& other) noexcept;
  ~Greenlet();

  /// Switches to this greenlet (starting it if need be), passing `value`; returns what the next switch to
  /// the calling greenlet passes, or throws what is thrown into it. A finished target hands the value on to
  /// its nearest living parent. Throws GreenletError for a foreign or empty target.
  std::any switch_to(std::any value = {}) const;

  /// Switches to this greenlet and throws `exception` there. Unstarted: it finishes at once with that
  /// exception. Finished: the exception surfaces in its nearest living parent (GreenletExit: returns normally
  /// there).
  std::any throw_in(std::exception_ptr exception) const;
  template <class E>
  std::any throw_in(E exception) const {
    return throw_in(std::make_exception_ptr(std::move(exception)));
  }
  /// throw_in(GreenletExit).
  std::any kill() const;

  Greenlet parent() const;  ///< empty for a main greenlet
  /// Throws GreenletError when that would make a cycle, the parent belongs to another thread, or this is a
  /// main greenlet.
  void set_parent(const Greenlet& parent) const;

  bool started() const noexcept;  ///< has been switched to, finished or not
  bool finished() const noexcept;
  bool active() const noexcept;  ///< started and not finished
  bool is_main() const noexcept;
  bool is_current() const noexcept;

  std::uint64_t id() const noexcept;  ///< spawn number, from 1; 0 for an empty handle
  std::string name() const;
  void set_name(std::string_view name) const;

  explicit operator bool() const noexcept { return block_ != nullptr; }
  friend bool operator==(const Greenlet& a, const Greenlet& b) noexcept { return a.block_ == b.block_; }

  /// The control block, for the C API (coppice.h). Borrowed.
  coppice_greenlet* get() const noexcept { return block_; }
  /// Shares a borrowed control block.
  static Greenlet share(coppice_greenlet* block) noexcept;

 private:
  coppice_greenlet* block_ = nullptr;
};

using Function = std::function<std::any(std::any)>;

namespace detail {
Greenlet spawn(Function function, std::string_view name);
}

/// Creates an unstarted greenlet whose parent is the current one. `function` takes std::any or nothing, and
/// returns std::any, anything an any can hold, or nothing. It runs at the first switch; what it returns goes
/// to the parent; an exception that leaves it surfaces in the parent.
template <class F>
[[nodiscard, gnu::always_inline]] inline Greenlet spawn(F&& function, std::string_view name = {}) {
  auto wrapped = [f = std::forward<F>(function)](std::any&& value) mutable -> std::any {
    auto call = [&]() -> decltype(auto) {
      if constexpr (std::is_invocable_v<std::decay_t<F>&, std::any>) {
        return f(std::move(value));
      } else {
        return f();
      }
    };
    if constexpr (std::is_void_v<decltype(call())>) {
      call();
      return {};
    } else {
      return call();
    }
  };
  return detail::spawn(std::move(wrapped),
                       name);  // notes its return address, which is in the caller of spawn
}

Greenlet current();        ///< the greenlet that runs; makes the thread's main greenlet at first use
Greenlet main_greenlet();  ///< of this thread

/// Says what the current greenlet is about to wait for, for gltop and gldump. `kind` must have static storage
/// duration (a literal). Cleared by `waiting_on(nullptr)`; stays until then.
void waiting_on(const char* kind, std::uint64_t value = 0) noexcept;

/// waiting_on for a scope.
class WaitingOn {
 public:
  explicit WaitingOn(const char* kind, std::uint64_t value = 0) noexcept { waiting_on(kind, value); }
  ~WaitingOn() { waiting_on(nullptr); }
  WaitingOn(const WaitingOn&) = delete;
  WaitingOn& operator=(const WaitingOn&) = delete;
};

/// Sets this thread's switch hook, called in the greenlet that was switched to, right after every switch;
/// empty removes it. Returns the former one. The hook must not switch; what it throws is thrown into that
/// greenlet.
std::function<void(const SwitchEvent&)> set_switch_hook(std::function<void(const SwitchEvent&)> hook);

}  // namespace coppice
#pragma GCC visibility pop

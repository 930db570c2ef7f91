// The public interface: checks its arguments, then leaves the work to transfer.cpp and lifetime.cpp.
#include "coppice/greenlet.hpp"

#include <utility>

#include "cpu.hpp"
#include "recorder.hpp"
#include "spawn.hpp"
#include "transfer.hpp"

namespace coppice {

using namespace internal;  // NOLINT(google-build-using-namespace): this file is the bridge between the two

namespace {

coppice_greenlet* checked(coppice_greenlet* block) {
  if (block == nullptr) throw GreenletError("empty greenlet handle");
  return block;
}

[[noreturn, gnu::cold]] void refuse_switch(coppice_greenlet* block) {
  const ThreadState* const owner = checked(block)->thread.load(std::memory_order_relaxed);
  if (owner == nullptr) throw GreenletError("cannot switch to a greenlet of a thread that has exited");
  if (owner != thread_state_or_null) throw GreenletError("cannot switch to a greenlet of another thread");
  throw GreenletError("a switch hook cannot switch");
}

/// This thread's state, if `block` belongs to it and it may switch now.
ThreadState& state_for_switch(coppice_greenlet* block) {
  ThreadState* const state = thread_state_or_null;  // without one, no greenlet can belong to this thread
  if (state == nullptr || block == nullptr || block->thread.load(std::memory_order_relaxed) != state ||
      state->in_hook) [[unlikely]] {
    refuse_switch(block);
  }
  return *state;
}

std::any throw_into(coppice_greenlet* block, std::exception_ptr exception, const void* caller) {
  ThreadState& state = state_for_switch(block);
  if (!exception) throw GreenletError("no exception to throw");
  if (state.ring != nullptr) {
    const Changing changing(state.version);
    record(state, COPPICE_EVENT_THROW, block->id, reinterpret_cast<std::uintptr_t>(caller), 0, ticks());
  }
  state.transfer.exception = std::move(exception);
  return hand_over(state, block);
}

}  // namespace

Greenlet::Greenlet(const Greenlet& other) noexcept : block_(other.block_) {
  if (block_ != nullptr) add_reference(block_);
}
Greenlet::Greenlet(Greenlet&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
Greenlet& Greenlet::operator=(const Greenlet& other) noexcept {
  Greenlet copy(other);
  std::swap(block_, copy.block_);
  return *this;
}
Greenlet& Greenlet::operator=(Greenlet&& other) noexcept {
  Greenlet taken(std::move(other));
  std::swap(block_, taken.block_);
  return *this;
}
Greenlet::~Greenlet() {
  release(block_);
}

Greenlet Greenlet::share(coppice_greenlet* block) noexcept {
  Greenlet handle;
  handle.block_ = block;
  if (block != nullptr) add_reference(block);
  return handle;
}

std::any Greenlet::switch_to(std::any value) const {
  ThreadState& state = state_for_switch(block_);
  state.transfer.value = std::move(value);
  return hand_over(state, block_);
}

[[gnu::noinline]] std::any Greenlet::throw_in(std::exception_ptr exception) const {
  return throw_into(block_, std::move(exception), __builtin_return_address(0));
}

[[gnu::noinline]] std::any Greenlet::kill() const {
  return throw_into(block_, std::make_exception_ptr(GreenletExit()), __builtin_return_address(0));
}

Greenlet Greenlet::parent() const {
  return share(checked(block_)->parent);
}

void Greenlet::set_parent(const Greenlet& parent) const {
  coppice_greenlet* const self = checked(block_);
  coppice_greenlet* const wanted = checked(parent.block_);
  if (self->main()) throw GreenletError("a main greenlet has no parent");
  const ThreadState* const state = &thread_state();
  if (self->thread.load(std::memory_order_relaxed) != state ||
      wanted->thread.load(std::memory_order_relaxed) != state) {
    throw GreenletError("a greenlet and its parent must belong to this thread");
  }
  for (const coppice_greenlet* each = wanted; each != nullptr; each = each->parent) {
    if (each == self) throw GreenletError("a greenlet cannot be its own ancestor");
  }
  add_reference(wanted);
  coppice_greenlet* former = nullptr;
  {
    const Changing changing(self->version);
    former = std::exchange(self->parent, wanted);
  }
  release(former);
}

bool Greenlet::started() const noexcept {
  return block_ != nullptr && block_->started();
}
bool Greenlet::finished() const noexcept {
  return block_ != nullptr && block_->finished();
}
bool Greenlet::active() const noexcept {
  return started() && !finished();
}
bool Greenlet::is_main() const noexcept {
  return block_ != nullptr && block_->main();
}
bool Greenlet::is_current() const noexcept {
  return block_ != nullptr && thread_state_or_null != nullptr && thread_state_or_null->current == block_;
}
std::uint64_t Greenlet::id() const noexcept {
  return block_ != nullptr ? block_->id : 0;
}

std::string Greenlet::name() const {
  const char* name = checked(block_)->name;
  return name != nullptr ? name : "";
}

void Greenlet::set_name(std::string_view name) const {
  checked(block_);
  Text text = copy_text(name);
  const Changing changing(block_->version);
  char* const former = std::exchange(block_->name, text.release());
  text.reset(former);
}

namespace detail {

[[gnu::noinline]] Greenlet spawn(Function function, std::string_view name) {
  return internal::spawn(std::move(function), name, __builtin_return_address(0));
}

}  // namespace detail

Greenlet current() {
  return Greenlet::share(thread_state().current);
}
Greenlet main_greenlet() {
  return Greenlet::share(thread_state().main);
}

void waiting_on(const char* kind, std::uint64_t value) noexcept {
  if (kind == nullptr && thread_state_or_null == nullptr) return;
  coppice_greenlet& self = *thread_state().current;
  const Changing changing(self.version);
  self.waiting_kind = kind;
  self.waiting_value = kind != nullptr ? value : 0;
}

std::function<void(const SwitchEvent&)> set_switch_hook(std::function<void(const SwitchEvent&)> hook) {
  return std::exchange(thread_state().hook, std::move(hook));
}

}  // namespace coppice

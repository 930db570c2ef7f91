// coppice/coppice.h over coppice/greenlet.hpp: handles become borrowed pointers, exceptions become status
// codes.
#include "coppice/coppice.h"

#include <any>
#include <cstring>
#include <exception>
#include <new>
#include <unordered_map>

#include "coppice/greenlet.hpp"
#include "lifetime.hpp"
#include "spawn.hpp"

namespace {

using coppice::Greenlet;
using coppice::GreenletError;
using coppice::GreenletExit;
using coppice::internal::thread_state;
using coppice::internal::ThreadState;

/// This thread's last error text. Cut rather than allocated: it also has to say that there is no memory.
constexpr std::size_t longest_message = 256;
thread_local char message[longest_message] = "";

coppice_status fail(coppice_status status, const char* text) noexcept {
  std::strncpy(message, text, longest_message - 1);
  return status;
}

/// The C++ exceptions that C functions of this thread have received and may want to pass on, by greenlet.
thread_local std::unordered_map<const coppice_greenlet*, std::exception_ptr> received;

/// The status for the exception in flight, when it came from another greenlet.
coppice_status passed_on(void** result) {
  try {
    throw;
  } catch (const coppice_thrown& thrown) {
    if (result != nullptr) *result = thrown.value;
    return COPPICE_THROWN;
  } catch (const GreenletExit&) {
    return COPPICE_EXIT;
  } catch (const std::exception& error) {
    received[thread_state().current] = std::current_exception();
    return fail(COPPICE_EXCEPTION, error.what());
  } catch (...) {
    received[thread_state().current] = std::current_exception();
    return fail(COPPICE_EXCEPTION, "a C++ exception that is no std::exception");
  }
}

/// The status for the exception in flight, when nothing was done because of it.
coppice_status refused() noexcept {
  try {
    throw;
  } catch (const GreenletError& error) {
    return fail(COPPICE_MISUSE, error.what());
  } catch (const std::bad_alloc&) {
    return fail(COPPICE_NO_MEMORY, "out of memory");
  } catch (const std::exception& error) {
    return fail(COPPICE_EXCEPTION, error.what());
  }
}

/// Calls something that does not switch.
template <class Call>
coppice_status plainly(Call call) noexcept {
  try {
    call();
    return COPPICE_OK;
  } catch (...) {
    return refused();
  }
}

/// Calls something that switches and returns a std::any. Whether an error means that nothing was done, or
/// came from another greenlet, is told by the thread's count of switches.
template <class Call>
coppice_status switching(void** result, Call call) noexcept {
  if (result != nullptr) *result = nullptr;
  std::uint64_t before = 0;
  try {
    const ThreadState& state = thread_state();
    before = state.switches;
    const std::any value = call();
    if (!value.has_value()) return COPPICE_OK;
    if (std::any_cast<GreenletExit>(&value) != nullptr) return COPPICE_OK;  // killed: it counts as returned
    void* const* pointer = std::any_cast<void*>(&value);
    if (pointer == nullptr) return COPPICE_BAD_VALUE;
    if (result != nullptr) *result = *pointer;
    return COPPICE_OK;
  } catch (const GreenletError&) {
    if (thread_state().switches == before) return refused();
    return passed_on(result);
  } catch (const std::bad_alloc&) {
    const ThreadState* state = coppice::internal::thread_state_or_null;
    if (state == nullptr || state->switches == before) return refused();
    return passed_on(result);
  } catch (...) {
    return passed_on(result);
  }
}

std::any run_function(coppice_function function, void* context, const std::any& first) {
  void* const* value = std::any_cast<void*>(&first);
  void* result = nullptr;
  const coppice_status status = function(context, value != nullptr ? *value : nullptr, &result);
  std::exception_ptr exception;
  if (!received.empty()) {
    if (auto node = received.extract(thread_state().current)) exception = node.mapped();
  }
  switch (status) {
    case COPPICE_OK:
      return result;
    case COPPICE_THROWN:
      throw coppice_thrown{result};
    case COPPICE_EXIT:
      throw GreenletExit();
    case COPPICE_EXCEPTION:
      if (exception) std::rethrow_exception(exception);
      [[fallthrough]];
    default:
      throw GreenletError("a greenlet's C function ended with a status that it had not received");
  }
}

Greenlet borrowed(const coppice_greenlet* greenlet) {
  return Greenlet::share(const_cast<coppice_greenlet*>(greenlet));
}

}  // namespace

extern "C" {

[[gnu::noinline]] coppice_status coppice_new(coppice_function function, void* context,
                                             coppice_greenlet** greenlet) {
  const void* const caller = __builtin_return_address(0);
  return plainly([&] {
    *greenlet = nullptr;
    if (function == nullptr) throw GreenletError("a greenlet needs a function to run");
    const Greenlet made = coppice::internal::spawn(
        [function, context](const std::any& first) { return run_function(function, context, first); }, {},
        caller);
    *greenlet = coppice_ref(made.get());
  });
}

coppice_greenlet* coppice_current() {
  coppice_greenlet* current = nullptr;
  plainly([&] { current = thread_state().current; });
  return current;
}

coppice_greenlet* coppice_main() {
  coppice_greenlet* main = nullptr;
  plainly([&] { main = thread_state().main; });
  return main;
}

coppice_greenlet* coppice_parent(const coppice_greenlet* greenlet) {
  return greenlet != nullptr ? greenlet->parent : nullptr;
}

coppice_status coppice_set_parent(coppice_greenlet* greenlet, coppice_greenlet* parent) {
  return plainly([&] { borrowed(greenlet).set_parent(borrowed(parent)); });
}

coppice_status coppice_switch(coppice_greenlet* greenlet, void* value, void** result) {
  return switching(result, [&] { return borrowed(greenlet).switch_to(value); });
}

coppice_status coppice_throw(coppice_greenlet* greenlet, void* thrown, void** result) {
  return switching(result, [&] { return borrowed(greenlet).throw_in(coppice_thrown{thrown}); });
}

coppice_status coppice_kill(coppice_greenlet* greenlet, void** result) {
  return switching(result, [&] { return borrowed(greenlet).kill(); });
}

int coppice_started(const coppice_greenlet* greenlet) {
  return greenlet != nullptr && greenlet->started();
}
int coppice_active(const coppice_greenlet* greenlet) {
  return greenlet != nullptr && greenlet->started() && !greenlet->finished();
}
int coppice_finished(const coppice_greenlet* greenlet) {
  return greenlet != nullptr && greenlet->finished();
}
int coppice_is_main(const coppice_greenlet* greenlet) {
  return greenlet != nullptr && greenlet->main();
}
uint64_t coppice_id(const coppice_greenlet* greenlet) {
  return greenlet != nullptr ? greenlet->id : 0;
}

const char* coppice_name(const coppice_greenlet* greenlet) {
  return greenlet != nullptr && greenlet->name != nullptr ? greenlet->name : "";
}

coppice_status coppice_set_name(coppice_greenlet* greenlet, const char* name) {
  return plainly([&] { borrowed(greenlet).set_name(name != nullptr ? name : ""); });
}

void coppice_waiting_on(const char* kind, uint64_t value) {
  coppice::waiting_on(kind, value);
}

coppice_greenlet* coppice_ref(coppice_greenlet* greenlet) {
  if (greenlet != nullptr) coppice::internal::add_reference(greenlet);
  return greenlet;
}

void coppice_unref(coppice_greenlet* greenlet) {
  coppice::internal::release(greenlet);
}

const char* coppice_error_message() {
  return message;
}

}  // extern "C"

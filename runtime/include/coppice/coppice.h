/* Greenlets for C, and for languages that call C. The same greenlets as coppice/greenlet.hpp, whose comments
 * say what they do; both interfaces may be mixed in one program. The yardstick is the C API of Python's
 * greenlet.
 *
 *   static enum coppice_status hello(void* context, void* value, void** result) {
 *     enum coppice_status status = coppice_switch(coppice_main(), "hello", &value);
 *     if (status != COPPICE_OK) { *result = value; return status; }   // pass on what was thrown: clean up
 * and go *result = NULL; return COPPICE_OK;
 *   }
 *   coppice_greenlet* g = NULL;
 *   void* text = NULL;
 *   coppice_new(hello, NULL, &g);
 *   coppice_switch(g, NULL, &text);
 *   coppice_unref(g);
 *
 * Values are one pointer wide. In C++ they are std::any holding a void*; an empty std::any is NULL here.
 *
 * Exceptions. A C function cannot catch, so what is thrown into a greenlet is returned by the coppice_switch
 * it waits in: COPPICE_THROWN with the pointer given to coppice_throw, COPPICE_EXIT when it is being killed,
 * COPPICE_EXCEPTION for any other C++ exception (kept for the greenlet until it returns that status). A
 * greenlet's function ends itself the same way: with COPPICE_OK and a result, with COPPICE_THROWN and a
 * pointer that surfaces in its parent, with COPPICE_EXIT, or with COPPICE_EXCEPTION to pass on the last one
 * it received. In C++ a COPPICE_THROWN is a coppice_thrown.
 *
 * Ownership. coppice_new and coppice_ref give references, coppice_unref takes one back; everything else
 * borrows. Thread-safety: coppice_ref and coppice_unref anywhere, all else in the greenlet's own thread only.
 */
#ifndef COPPICE_COPPICE_H
#define COPPICE_COPPICE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct coppice_greenlet coppice_greenlet;

#pragma GCC visibility push(default)

enum coppice_status {
  COPPICE_OK = 0,
  COPPICE_THROWN = 1,    /* coppice_throw: the pointer is in *result */
  COPPICE_EXIT = 2,      /* being killed: clean up and return this status */
  COPPICE_EXCEPTION = 3, /* another C++ exception: coppice_error_message tells its text */
  COPPICE_MISUSE = 4,    /* nothing was done; coppice_error_message tells why */
  COPPICE_NO_MEMORY = 5, /* nothing was done */
  COPPICE_BAD_VALUE = 6  /* the switch was made, but C++ code passed back a value that is no void* */
};

/* What a greenlet runs. `context` is the one given to coppice_new, `value` what the first switch passes.
 * *result is NULL at first. */
typedef enum coppice_status (*coppice_function)(void* context, void* value, void** result);

/* Creates an unstarted greenlet, whose parent is the current one, into *greenlet. */
enum coppice_status coppice_new(coppice_function function, void* context, coppice_greenlet** greenlet);

/* The greenlet that runs and this thread's main greenlet; NULL for want of memory at a thread's first use. */
coppice_greenlet* coppice_current(void);
coppice_greenlet* coppice_main(void);

coppice_greenlet* coppice_parent(const coppice_greenlet* greenlet); /* NULL for a main greenlet */
enum coppice_status coppice_set_parent(coppice_greenlet* greenlet, coppice_greenlet* parent);

/* Switches to `greenlet`. *result is what the next switch to the caller passes (or see above); may be NULL.
 */
enum coppice_status coppice_switch(coppice_greenlet* greenlet, void* value, void** result);

/* Switches to `greenlet` and throws `thrown` there; coppice_kill throws GreenletExit. */
enum coppice_status coppice_throw(coppice_greenlet* greenlet, void* thrown, void** result);
enum coppice_status coppice_kill(coppice_greenlet* greenlet, void** result);

int coppice_started(const coppice_greenlet* greenlet); /* has been switched to, finished or not */
int coppice_active(const coppice_greenlet* greenlet);  /* started and not finished */
int coppice_finished(const coppice_greenlet* greenlet);
int coppice_is_main(const coppice_greenlet* greenlet);
uint64_t coppice_id(const coppice_greenlet* greenlet); /* spawn number, from 1 */

const char* coppice_name(
    const coppice_greenlet* greenlet); /* until the next coppice_set_name; "" if it has none */
enum coppice_status coppice_set_name(coppice_greenlet* greenlet, const char* name);

/* Says what the current greenlet is about to wait for. `kind` of static storage duration; NULL: nothing any
 * more. */
void coppice_waiting_on(const char* kind, uint64_t value);

coppice_greenlet* coppice_ref(coppice_greenlet* greenlet); /* returns it; NULL is allowed */
void coppice_unref(coppice_greenlet* greenlet);            /* NULL is allowed */

/* The text of this thread's last COPPICE_EXCEPTION, COPPICE_MISUSE or COPPICE_NO_MEMORY; valid until the next
 * one. */
const char* coppice_error_message(void);

#ifdef __cplusplus
}

/* How a COPPICE_THROWN looks to C++ code. */
struct coppice_thrown {
  void* value;
};
#endif
#pragma GCC visibility pop
#endif

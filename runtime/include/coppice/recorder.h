/* The recorder: what every thread did last, in 32-byte events (struct coppice_event of debug_abi.h).
 *
 * Each thread writes into a ring of its own, over its oldest events. What was overwritten is counted:
 * lost = written - capacity, if that is positive. Recording costs a few nanoseconds an event and never
 * blocks.
 *
 *   off       no ring
 *   memory    (default) rings in memory: read from a live process or a core through the thread slots of
 * debug_abi.h file      rings in a mapped file as well described below: it outlives the process, however that
 * ends
 *
 * The environment variable COPPICE_RECORDER says which, at the runtime's first use: `off`, `memory` or
 * `file:PATH`, where %p in PATH becomes the process ID. When that is impossible, one line on stderr says why
 * and rings are in memory. After fork() the child records to memory: the file stays the parent's.
 *
 * The file
 *
 *   0                  struct coppice_recorder_file
 *   first_ring         struct coppice_recorder_ring, then `ring_capacity` events at ring_header_size
 *   + ring_size        the next ring, `ring_count` in all
 *
 * All space is allocated before it is mapped, so a full disk is an error when a ring is made and never a
 * SIGBUS; a thread for which there is no space records to memory and is counted in rings_refused. A thread
 * that exits leaves its ring for reading; once there are COPPICE_RECORDER_MANY_RINGS, new threads overwrite
 * the ones left longest ago.
 *
 * Reading, also while the process runs or after SIGKILL at any instruction: read `written` of a ring. Event
 * number n, for n from max(0, written - capacity) to written - 1, lies at index n % capacity and is whole if
 * its `sequence` equals n's low 32 bits; the oldest one may just be overwritten and then is not. In a live
 * process read `written` again afterwards and drop what may have been overwritten meanwhile. All integers are
 * little endian.
 */
#ifndef COPPICE_RECORDER_H
#define COPPICE_RECORDER_H

#include <stdint.h>

#include "coppice/debug_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define COPPICE_RECORDER_MAGIC 0x3143455250504f43ull /* "COPPREC1" read as a little-endian word */
#define COPPICE_RECORDER_VERSION 1u
#define COPPICE_RECORDER_MANY_RINGS 64u

/* The file's first bytes. Fields are only ever added at the end; header_size says how many there are. */
struct coppice_recorder_file {
  uint64_t magic;
  uint32_t version;          /* COPPICE_RECORDER_VERSION: changes only when a meaning changes */
  uint32_t header_size;      /* sizeof this struct */
  uint32_t machine;          /* ELF e_machine */
  uint32_t event_size;       /* sizeof(struct coppice_event) */
  uint32_t ring_header_size; /* offset of a ring's first event from the ring's start */
  uint32_t ring_capacity;    /* events in a ring, a power of two */
  uint64_t first_ring;       /* offset in the file */
  uint64_t ring_size;        /* distance from one ring to the next */
  uint64_t ring_count;       /* rings in the file; grows */
  uint64_t rings_refused;    /* threads that found no space for a ring */
  uint64_t pid;
  uint64_t clock_version;                  /* odd while clock_recent changes */
  struct coppice_debug_clock clock_start;  /* when the file was made */
  struct coppice_debug_clock clock_recent; /* when a thread last came or went, and now and then between */
};

/* The start of a ring. */
struct coppice_recorder_ring {
  uint64_t written;  /* events ever written by this thread; the newest is number written - 1 */
  uint64_t capacity; /* in events */
  uint32_t tid;      /* inside the process's PID namespace */
  uint32_t ended;    /* 1 when the thread has exited or records elsewhere now */
};

enum coppice_recorder_mode {
  COPPICE_RECORDER_OFF = 0,
  COPPICE_RECORDER_MEMORY = 1,
  COPPICE_RECORDER_FILE = 2
};

#pragma GCC visibility push(default)
/* Says where events go from now on: for this thread at once, for others at their next switch. `path` is for
 * the file mode only (%p as above); an existing file there is replaced, not overwritten. Returns 0, or an
 * errno value and nothing has changed: EINVAL, ENOSPC, or what opening and mapping a file may say.
 * Thread-safe. */
int coppice_recorder_set(enum coppice_recorder_mode mode, const char* path);
#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif

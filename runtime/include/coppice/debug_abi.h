/* The debug ABI: how a reader from outside finds everything the runtime knows, without symbols or DWARF.
 *
 *   ELF note "Coppice" (allocated, so it survives strip and static linking)
 *      desc: int64, distance from the desc's own address to the table
 *        |
 *        v
 *   coppice_debug_table (.data, always written, so every core carries it)
 *        |-- greenlets: pool --> chunk addresses --> chunks of slots (control blocks)
 *        |-- threads:   pool --> chunk addresses --> chunks of slots (thread records)
 *        '-- offsets of every field inside a slot, where a suspended greenlet continues, the clock
 *
 * Pools hand out slots from chunks that are never freed or moved, so a reader can copy a whole pool with one
 * vectored read and never follows a pointer that went stale. A chunk array that grew is replaced, never
 * freed.
 *
 * Versions. Each slot has a 64-bit version at `version`. It is odd while anyone changes the slot's fields or
 * the bytes of its slice (its own switch, an eviction by another greenlet, a free) and is never reset, also
 * not when the slot is used again. A reader reads versions, then bytes, then versions again: a slot whose
 * version was odd or changed is torn and is read again. Read the first version by itself: a single large read
 * may fetch its bytes in any order, and then old fields can come with a new version.
 *
 * All integers are in the target's byte order (little endian on every machine supported so far). Fields are
 * only ever added at the end; `table_size` says how many there are; `abi_version` changes only when a meaning
 * changes.
 */
#ifndef COPPICE_DEBUG_ABI_H
#define COPPICE_DEBUG_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define COPPICE_NOTE_NAME "Coppice" /* namesz 8 with its NUL */
#define COPPICE_NOTE_TYPE 1u
#define COPPICE_DEBUG_MAGIC 0x3145434950504f43ull /* "COPPICE1" read as a little-endian word */
#define COPPICE_DEBUG_ABI_VERSION 1u

/* The value at `state` of a greenlet slot. */
enum coppice_debug_state {
  COPPICE_STATE_FREE = 0,      /* the slot holds no greenlet */
  COPPICE_STATE_UNSTARTED = 1, /* never switched to: no stack */
  COPPICE_STATE_SUSPENDED = 2, /* stack is [start, stop), see slice fields */
  COPPICE_STATE_RUNNING = 3,   /* current greenlet of its thread; only `stop` is meaningful */
  COPPICE_STATE_FINISHED = 4,  /* returned, threw or was killed: no stack */
  COPPICE_STATE_ORPHANED = 5   /* was suspended when its thread exited; slice complete, never continues */
};

/* Bits of `flags` of a greenlet slot. */
#define COPPICE_FLAG_MAIN 1u

/* The recorder's events, 32 bytes each. */
enum coppice_event_type {
  COPPICE_EVENT_NONE = 0,
  COPPICE_EVENT_SPAWN = 1,   /* greenlet: the new one; address: the spawn call's return address; bytes: 0 */
  COPPICE_EVENT_SWITCH = 2,  /* greenlet: the one switched to; address: the sp it continues with; bytes: 0 */
  COPPICE_EVENT_SAVE = 3,    /* greenlet: whose slice; address: stack address copied from; bytes copied */
  COPPICE_EVENT_RESTORE = 4, /* greenlet: whose slice; address: stack address copied to; bytes copied */
  COPPICE_EVENT_RETURN = 5,  /* greenlet: the one that finished; address: its base; bytes: 0 */
  COPPICE_EVENT_THROW = 6    /* greenlet: the one thrown into; address: the throw call's return address */
};

struct coppice_event {
  uint32_t sequence;     /* low 32 bits of the event's number in its ring, written last: 0 while being written
                            unless the number's low bits really are 0 */
  uint32_t bytes;        /* saturates at UINT32_MAX */
  uint64_t ticks;        /* time stamp counter, one reading per switch */
  uint64_t greenlet;     /* id (spawn number) */
  uint64_t type_address; /* type in the top 8 bits, address in the low 56 */
};

/* A pool of slots. `chunks` points to an array of `chunk_count` chunk addresses. A chunk holds
 * `slots_per_chunk` slots of `slot_size` bytes. Read `version`, the rest, `version` again. */
struct coppice_debug_pool {
  uint64_t version;
  uint64_t chunks;
  uint64_t chunk_count;
  uint32_t slots_per_chunk;
  uint32_t slot_size;
};

/* A reading of both clocks, for turning ticks into time. */
struct coppice_debug_clock {
  uint64_t ticks;
  int64_t unix_ns; /* CLOCK_REALTIME */
};

/* Byte offsets inside a greenlet slot. Every field is 8 bytes wide unless noted. */
struct coppice_debug_greenlet_layout {
  uint16_t version;
  uint16_t id;       /* spawn number, from 1, never used again in a process */
  uint16_t state;    /* uint32_t, enum coppice_debug_state */
  uint16_t flags;    /* uint32_t, COPPICE_FLAG_* */
  uint16_t thread;   /* address of its thread slot; 0 once orphaned */
  uint16_t parent;   /* address of its parent's slot; 0 for a main greenlet */
  uint16_t start;    /* suspended: lowest stack address, where sp stands */
  uint16_t stop;     /* the base: just beyond the highest; UINT64_MAX for main (use the thread's stack end) */
  uint16_t copy;     /* heap address of the saved bytes */
  uint16_t saved;    /* how many bytes from `start` on are in the copy */
  uint16_t name;     /* address of a NUL-terminated string, or 0 */
  uint16_t spawn_pc; /* return address of the spawn call, or 0 */
  uint16_t spawner;  /* id of the greenlet that spawned it, or 0 */
  uint16_t switches; /* times switched to */
  uint16_t bytes_saved;
  uint16_t bytes_restored;
  uint16_t
      last_switch; /* ticks when it was last switched to or away from; 0: unknown, the recorder was off */
  uint16_t waiting_kind; /* address of a NUL-terminated string of static storage, or 0: not waiting */
  uint16_t waiting_value;
};

/* Byte offsets inside a thread slot. Every field is 8 bytes wide unless noted. */
struct coppice_debug_thread_layout {
  uint16_t version;
  uint16_t tid;       /* uint32_t, inside the target's PID namespace; 0: the slot is free */
  uint16_t current;   /* address of the slot of the greenlet that runs */
  uint16_t main;      /* address of the main greenlet's slot */
  uint16_t stack_low; /* bounds of the thread's stack: [low, high) */
  uint16_t stack_high;
  uint16_t switches;
  uint16_t bytes_copied;  /* saved and restored together */
  uint16_t ring;          /* address of the first coppice_event, or 0: recorder off */
  uint16_t ring_capacity; /* in events, a power of two */
  uint16_t ring_written;  /* events ever written; the newest is number ring_written - 1, at index number %
                             capacity */
};

struct coppice_debug_table {
  uint64_t magic;
  uint32_t abi_version;
  uint32_t table_size;  /* sizeof this struct in the runtime */
  uint32_t machine;     /* ELF e_machine: 62 x86-64 */
  uint32_t event_size;  /* sizeof(struct coppice_event) */
  uint64_t resume_pc;   /* where every suspended greenlet continues, its sp being `start`. This and the next
                           two are 0 until the runtime is first used: then there are no greenlets either */
  uint64_t entry_start; /* [start, end) of the entry function, the outermost frame of a greenlet */
  uint64_t entry_end;
  /* Where the resume context's registers lie: entry n is the offset from `start` of DWARF register n's saved
   * value, or -1 when it is not part of the context. */
  int16_t resume_slot[32];
  struct coppice_debug_pool greenlets;
  struct coppice_debug_pool threads;
  struct coppice_debug_greenlet_layout greenlet;
  struct coppice_debug_thread_layout thread;
  uint16_t padding[2];                    /* keeps the next field aligned */
  struct coppice_debug_clock clock_start; /* taken when the runtime was first used */
  struct coppice_debug_clock
      clock_recent;          /* taken again now and then; two distant pairs give the tick rate */
  uint64_t ticks_per_second; /* 0 when unknown */
  uint64_t runtime_version;  /* major << 32 | minor << 16 | patch */
  uint64_t clock_version;    /* odd while clock_recent and ticks_per_second change */
};

extern struct coppice_debug_table coppice_debug_table;

#ifdef __cplusplus
}
#endif
#endif

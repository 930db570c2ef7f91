/* The C ABI of libcoppice-inspect: how a debugger asks for greenlets in the memory that it can read.
 *
 *   struct cpi_lender lender = {.read = my_read, .user = me};
 *   struct cpi_session* session = cpi_open(&lender);
 *   cpi_stopped(session, &picture);                  // at every stop: threads, registers, auxv
 *   const char* json = cpi_snapshot(session, ...);   // DESIGN.md, "Contracts"
 *   cpi_stack_of(session, "7", &stack);                 // what `greenlet 7` lays over the stack
 *   cpi_close(session);
 *
 * The lender gives memory by a callback and everything else as plain data; the library finds the modules in
 * that memory itself (auxiliary vector, program headers, the dynamic linker's list). It opens no file of the
 * target's but the modules' own ELF files, never writes, and never throws across this boundary.
 *
 * Errors: functions that can fail return NULL or a negative number; cpi_last_error() then has a sentence.
 * Threads: one thread at a time per session. Strings are UTF-8, ending in NUL.
 * Compatibility: structs that the caller fills begin with their size, so that both sides may be of different
 * versions; fields are only ever added at the end. cpi_abi_version() changes only when a meaning changes.
 */
#ifndef COPPICE_INSPECT_H
#define COPPICE_INSPECT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CPI_ABI_VERSION 1
#define CPI_API __attribute__((visibility("default")))

/* Registers by the System V psABI's DWARF numbers, 0 (rax) to 16 (rip) on x86-64. */
#define CPI_REGISTERS 17

struct cpi_session;

/* One piece of a batch of reads. The callee sets `got`: how many leading bytes of `into` it could fill. */
struct cpi_read {
  uint64_t address;
  uint64_t size;
  uint8_t* into;
  uint64_t got;
};

/* What the session's owner lends. */
struct cpi_lender {
  uint64_t size; /* sizeof(struct cpi_lender) */
  void* user;    /* handed to every callback */
  /* Fulfils each of `count` reads as far as possible; unreadable memory is no error, only a short `got`. Must
   * give the target's own bytes, not those of an overlay. Returns 0, or -1 when the lender itself failed:
   * then nothing of the batch counts. */
  int32_t (*read)(void* user, struct cpi_read* reads, uint64_t count);
};

struct cpi_thread {
  int32_t tid;    /* as the debugger's target names it */
  uint32_t known; /* bit n: registers[n] is known; 0: no registers (the thread runs) */
  uint64_t registers[CPI_REGISTERS];
  char name[32]; /* may be empty */
};

struct cpi_auxv {
  uint64_t type; /* AT_PHDR and so on, elf.h */
  uint64_t value;
};

/* Bits of cpi_mapping's `access`. */
#define CPI_READABLE 1u
#define CPI_WRITABLE 2u
#define CPI_EXECUTABLE 4u

/* One line of the target's memory map. */
struct cpi_mapping {
  uint64_t start;
  uint64_t end; /* just beyond it */
  uint64_t file_offset;
  uint64_t access;  /* CPI_* bits */
  const char* path; /* of the mapped file, or "[stack]" and the like; NULL for anonymous memory */
};

/* The target at one stop. Everything is copied. */
struct cpi_picture {
  uint64_t size; /* sizeof(struct cpi_picture) */
  int32_t pid;   /* 0 when unknown */
  int32_t is_core;
  const char* executable;   /* path of the main program's file; may be NULL */
  const char* command_line; /* may be NULL */
  const char* core;         /* path of the core file, NULL when live */
  const char* sysroot;      /* prefix for the target's absolute paths; may be NULL */
  const struct cpi_thread* threads;
  uint64_t thread_count;
  const struct cpi_auxv* auxv;
  uint64_t auxv_count;
  /* Without a memory map CPython's greenlets cannot be looked for. */
  const struct cpi_mapping* mappings;
  uint64_t mapping_count;
};

/* Bits of cpi_snapshot's `what`. */
#define CPI_FRAMES 1u  /* walk the stacks */
#define CPI_SYMBOLS 2u /* name the frames */
#define CPI_GROUPS 4u  /* add `groups`: equal stacks merged */
#define CPI_WAITS 8u   /* add `waits` and `cycles`: who waits for the same, and for whom */

/* The stack of a greenlet that does not run, and where it continues. */
struct cpi_stack {
  uint64_t size;        /* sizeof(struct cpi_stack), set by the caller */
  uint64_t start;       /* stack address of the innermost byte */
  uint64_t stop;        /* just beyond the outermost byte it owns */
  uint64_t copy;        /* heap address of the saved bytes, 0 when none are saved */
  uint64_t saved;       /* how many bytes from `start` on are in the copy; the rest still lies on the stack */
  const uint8_t* bytes; /* the saved bytes that could be read; valid until the next call on the session */
  uint64_t byte_count;  /* less than `saved` when some were unreadable */
  uint32_t known;       /* bit n: registers[n] is part of the resume context (pc and sp always are) */
  uint32_t orphaned;    /* 1: its thread has exited */
  uint64_t registers[CPI_REGISTERS];
  uint64_t outermost_sp; /* sp of its outermost frame; 0 when the walk did not get there. What would lie
                          * beyond is whatever the thread has on its stack now. */
};

CPI_API uint32_t cpi_abi_version(void);

/* The reason of this thread's last failure. Never NULL; valid until the next call. */
CPI_API const char* cpi_last_error(void);

/* Opens a session; it has no target until cpi_stopped. NULL: failed. */
CPI_API struct cpi_session* cpi_open(const struct cpi_lender* lender);
CPI_API void cpi_close(struct cpi_session* session);

/* Tells that the target stands as `picture` says; everything read before is forgotten, rules and symbols of
 * modules that are still there are kept. 0, or -1. */
CPI_API int32_t cpi_stopped(struct cpi_session* session, const struct cpi_picture* picture);

/* The JSON snapshot. `what`: CPI_* bits. `ids`: the greenlets to walk (ids, hex addresses or unique names),
 * all when `id_count` is 0. `max_frames`: how many frames of each stack to hand out, 0 for all; walks are not
 * shortened by it. The string is valid until the next call on the session. NULL: nothing can be shown. */
CPI_API const char* cpi_snapshot(struct cpi_session* session, uint32_t what, const char* const* ids,
                                 uint64_t id_count, uint64_t max_frames);

/* The stack of a suspended or orphaned greenlet, by id, at this stop. 0, or -1 (unknown, not
 * suspended). */
CPI_API int32_t cpi_stack_of(struct cpi_session* session, const char* id, struct cpi_stack* out);

#ifdef __cplusplus
}
#endif
#endif

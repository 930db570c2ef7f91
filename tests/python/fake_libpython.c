// Libraries that say they are a CPython, each with something wrong: the variants are in CMakeLists.txt.
#include <stdint.h>

#if defined(NOT_STARTED) || defined(BROKEN) || defined(DISAGREES) || defined(IDLE)
const unsigned long Py_Version = 0x030b02f0;
#elif defined(FUTURE)
const unsigned long Py_Version = 0x036300f0;
#elif defined(OLD)
const unsigned long Py_Version = 0x030710f0;
#elif defined(FREE_THREADED) || defined(REARRANGED)
const unsigned long Py_Version = 0x030d00f0;
#endif

// As Py_GetVersion() leaves it.
char version_text[250] =
#if defined(DISAGREES)
    "3.11.7 (main, May  9 2026, 07:35:01) [GCC 12.2.0]";
#elif defined(FREE_THREADED)
    "3.13.0 experimental free-threading build (main, May  9 2026, 07:35:01) [GCC 12.2.0]";
#else
    "x";
#endif

#if defined(IDLE)
// The newest interpreter runs nothing: the main one's only thread is the only one there is.
uint64_t thread[8], idle[8], main_one[8];
uint64_t thread[8] = {[2] = (uint64_t)main_one}, main_one[8] = {[2] = (uint64_t)thread},
         idle[8] = {(uint64_t)main_one};
#endif

struct {
  char cookie[8];
  uint64_t version;
  uint64_t free_threaded;
  uint64_t words[400];
} _PyRuntime = {
#if defined(FREE_THREADED) || defined(REARRANGED)
    {'x', 'd', 'e', 'b', 'u', 'g', 'p', 'y'},
    0x030d00f0,
#if defined(FREE_THREADED)
    1,
#else
    0,
#endif
    {1, 2, 3},
#elif defined(BROKEN)
    {1},
    0,
    0,
    {[2] = 0x10, [3] = 0x10},
#elif defined(IDLE)
    {1},
    0,
    0,
    {[2] = (uint64_t)idle},
#else
    {1},
#endif
};

/* The one shape that is written in C. */
#ifndef COPPICE_ZOO_VLA_H
#define COPPICE_ZOO_VLA_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Calls run(step) beside a variable-length array of `count` longs, at least one. */
void zoo_vla(size_t count, void (*run)(void*), void* step);

#ifdef __cplusplus
}
#endif
#endif

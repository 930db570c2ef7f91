/* The steps of c_program.c: 0, or the line that failed. */
#pragma once
#include <coppice/coppice.h>
#ifdef __cplusplus
extern "C" {
#endif
int c_values(void);
int c_throwing(void);
int c_misuse(void);
int c_wrong_status(void);
/* A coppice_function that switches to the greenlet `context` and ends as that switch did. */
enum coppice_status c_pass_on(void* context, void* value, void** result);
#ifdef __cplusplus
}
#endif

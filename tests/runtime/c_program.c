/* Uses coppice.h as a C program would. Each step returns 0 or the line that failed. */
#include "c_program.h"

#include <coppice/coppice.h>
#include <string.h>

#define EXPECT(condition)              \
  do {                                 \
    if (!(condition)) return __LINE__; \
  } while (0)

static int cleaned_up;

static enum coppice_status echo(void* context, void* value, void** result) {
  enum coppice_status status = COPPICE_OK;
  while (status == COPPICE_OK && value != NULL) status = coppice_switch(coppice_main(), value, &value);
  ++cleaned_up;
  *result = status == COPPICE_THROWN ? value : context;
  return status;
}

int c_values(void) {
  char one, two, context;
  void* got = NULL;
  coppice_greenlet* g = NULL;
  EXPECT(coppice_new(echo, &context, &g) == COPPICE_OK);
  EXPECT(coppice_parent(g) == coppice_main() && coppice_current() == coppice_main());
  EXPECT(coppice_is_main(coppice_main()) && !coppice_is_main(g) && coppice_parent(coppice_main()) == NULL);
  EXPECT(!coppice_started(g) && !coppice_active(g) && !coppice_finished(g));
  EXPECT(coppice_switch(g, &one, &got) == COPPICE_OK && got == &one);
  EXPECT(coppice_started(g) && coppice_active(g));
  EXPECT(coppice_switch(g, &two, &got) == COPPICE_OK && got == &two);
  EXPECT(coppice_switch(g, NULL, &got) == COPPICE_OK && got == &context);
  EXPECT(coppice_started(g) && !coppice_active(g) && coppice_finished(g));
  coppice_unref(g);
  return 0;
}

int c_throwing(void) {
  char one, thrown;
  void* got = NULL;
  coppice_greenlet* g = NULL;
  cleaned_up = 0;
  EXPECT(coppice_new(echo, NULL, &g) == COPPICE_OK);
  EXPECT(coppice_switch(g, &one, &got) == COPPICE_OK);
  EXPECT(coppice_throw(g, &thrown, &got) == COPPICE_THROWN && got == &thrown);
  EXPECT(coppice_finished(g) && cleaned_up == 1);
  coppice_unref(g);

  EXPECT(coppice_new(echo, NULL, &g) == COPPICE_OK);
  EXPECT(coppice_switch(g, &one, &got) == COPPICE_OK);
  EXPECT(coppice_kill(g, &got) == COPPICE_OK && got == NULL);
  EXPECT(coppice_finished(g) && cleaned_up == 2);
  coppice_unref(g);

  EXPECT(coppice_new(echo, NULL, &g) == COPPICE_OK);
  EXPECT(coppice_switch(g, &one, &got) == COPPICE_OK);
  coppice_unref(g); /* the last reference */
  EXPECT(cleaned_up == 3);
  return 0;
}

int c_misuse(void) {
  coppice_greenlet* g = NULL;
  EXPECT(coppice_new(NULL, NULL, &g) == COPPICE_MISUSE && g == NULL);
  EXPECT(strlen(coppice_error_message()) > 0);
  EXPECT(coppice_switch(NULL, NULL, NULL) == COPPICE_MISUSE);
  EXPECT(coppice_new(echo, NULL, &g) == COPPICE_OK);
  EXPECT(coppice_set_parent(g, g) == COPPICE_MISUSE);
  EXPECT(coppice_set_parent(g, NULL) == COPPICE_MISUSE);
  EXPECT(coppice_set_parent(g, coppice_main()) == COPPICE_OK);
  EXPECT(!coppice_started(NULL) && coppice_id(NULL) == 0 && coppice_parent(NULL) == NULL);
  EXPECT(strcmp(coppice_name(g), "") == 0);
  EXPECT(coppice_set_name(g, "c") == COPPICE_OK && strcmp(coppice_name(g), "c") == 0);
  coppice_waiting_on("lock", 3);
  coppice_waiting_on(NULL, 0);
  coppice_unref(coppice_ref(g));
  coppice_unref(g);
  coppice_unref(NULL);
  return 0;
}

static enum coppice_status wrong_status(void* context, void* value, void** result) {
  (void)context;
  (void)value;
  (void)result;
  return COPPICE_NO_MEMORY;
}

int c_wrong_status(void) {
  coppice_greenlet* g = NULL;
  EXPECT(coppice_new(wrong_status, NULL, &g) == COPPICE_OK);
  EXPECT(coppice_switch(g, NULL, NULL) == COPPICE_EXCEPTION);
  EXPECT(strstr(coppice_error_message(), "status") != NULL);
  coppice_unref(g);
  return 0;
}

enum coppice_status c_pass_on(void* context, void* value, void** result) {
  return coppice_switch((coppice_greenlet*)context, value, result);
}

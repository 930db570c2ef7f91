/* C++ has no variable-length arrays. */
#include <stddef.h>

#include "samples/zoo/shapes/vla.h"

void zoo_write_pattern(void* memory, size_t size);
void zoo_check_pattern(const void* memory, size_t size);

void zoo_vla(size_t count, void (*run)(void*), void* step) {
  long array[count];
  zoo_write_pattern(array, sizeof array);
  run(step);
  zoo_check_pattern(array, sizeof array);
}

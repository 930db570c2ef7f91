// Marks in frames, by which a shape notices that its frame was not restored exactly.
#pragma once

#include <cstddef>

extern "C" {

/// Fills memory with bytes that depend on their own addresses.
void zoo_write_pattern(void* memory, size_t size);

/// Checks them; reports the first wrong byte and aborts.
void zoo_check_pattern(const void* memory, size_t size);

/// Returns its argument, unknown to the optimiser.
size_t zoo_opaque(size_t value);
}

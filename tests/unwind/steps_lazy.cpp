// A library whose calls go through a PLT bound at first use.
#include <cstdlib>

extern "C" int stepped_by_plt(int x) {
  // labs, abs and friends would be built in; these are real calls.
  char text[] = "12";
  return static_cast<int>(std::strtol(text, nullptr, 10)) + std::atoi(text + (x & 1)) + x;
}

#include <coppice/coppice.h>
#include <coppice/debug_abi.h>
#include <coppice/recorder.h>

#include <coppice/greenlet.hpp>

int main() {
  const coppice::Greenlet g = coppice::spawn([](std::any value) { return std::any_cast<int>(value) + 1; });
  const int answer = std::any_cast<int>(g.switch_to(41));
  return answer == 42 && coppice_finished(g.get()) == 1 ? 0 : 1;
}

#include "samples/zoo/shapes/vla.h"

#include "samples/zoo/pattern.hpp"
#include "samples/zoo/shapes.hpp"

namespace coppice::zoo {

void enter_vla(Step& next) {
  zoo_vla(zoo_opaque(50), [](void* step) { static_cast<Step*>(step)->run(); }, &next);
}

}  // namespace coppice::zoo

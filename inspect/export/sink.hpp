// Where exported text goes.
#pragma once

#include <functional>
#include <string_view>

namespace coppice::inspect {

/// Takes the next piece of a document. False: nobody reads any more (a closed pipe), so the rest is not worth
/// producing and the exporter returns at once.
using Sink = std::function<bool(std::string_view)>;

}  // namespace coppice::inspect

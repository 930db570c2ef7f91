#include "inspect/worker/server/learn_service.hpp"

#include "inspect/worker/learn_protocol.hpp"

namespace coppice::inspect::worker {

LearnService::Module* LearnService::module(FileId file) {
  auto [entry, added] = modules_.try_emplace(file);
  if (added) {
    if (auto image = ElfImage::map(files_.descriptor(file)))
      entry->second = std::make_unique<Module>(std::move(image));
  }
  return entry->second.get();
}

void LearnService::serve(BodyReader& request, Answers& answers) {
  LearnItem item;
  while (request.left() >= sizeof item && request.get(item)) {
    Rule rule;
    rule.status = Rule::Status::malformed;
    if (Module* known = module(item.file)) {
      rule = learner_.learn(*known->image, known->eh_frame, item.offset, item.exact != 0);
    }
    answers.send(std::as_bytes(std::span(&rule, 1)));
  }
}

}  // namespace coppice::inspect::worker

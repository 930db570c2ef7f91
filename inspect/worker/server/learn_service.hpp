// Answers learn_rules.
#pragma once

#include <map>
#include <memory>

#include "inspect/worker/server/learner_x86_64.hpp"
#include "inspect/worker/server/service.hpp"

namespace coppice::inspect::worker {

/// Learns the rule of each LearnItem. A file is mapped at the first question about it.
class LearnService : public Service {
 public:
  /// `files` must outlive this. Throws as Learner does. Create it before the sandbox is entered.
  explicit LearnService(const Files& files) : files_(files) {}

  void serve(BodyReader& request, Answers& answers) override;
  void forget(FileId file) override { modules_.erase(file); }

 private:
  struct Module {
    explicit Module(std::unique_ptr<ElfImage> mapped) : image(std::move(mapped)), eh_frame(*image) {}
    std::unique_ptr<ElfImage> image;
    EhFrame eh_frame;
  };
  Module* module(FileId file);

  const Files& files_;
  Learner learner_;
  std::map<FileId, std::unique_ptr<Module>> modules_;  // null: no image could be made
};

}  // namespace coppice::inspect::worker

#include "inspect/worker/debug_info/service.hpp"

#include <utility>

namespace coppice::inspect::worker {

void DebugLinksService::serve(BodyReader& request, Answers& answers) {
  FileId file = no_file;
  request.get(file);
  BodyWriter body;
  auto elf = ElfFile::open(files_.descriptor(file));
  write(body, elf.ok() ? elf->links() : DebugLinks{});
  answers.send(body.bytes());
}

SymbolizeService::Opened& SymbolizeService::open(const SymbolizeRequest& request) {
  const Key key{request.image, request.debug, request.alternate, request.depth};
  if (const auto known = opened_.find(key); known != opened_.end()) return known->second;
  auto info = DebugInfo::open({.image = files_.descriptor(request.image),
                               .debug = files_.descriptor(request.debug),
                               .alternate = files_.descriptor(request.alternate),
                               .bias = request.bias},
                              request.depth);
  Opened& opened = opened_[key];
  if (info.ok()) {
    opened.info = std::move(*info);
  } else {
    opened.failure = info.error().message;
  }
  return opened;
}

void SymbolizeService::serve(BodyReader& request, Answers& answers) {
  SymbolizeRequest asked;
  if (!read(request, asked)) return;
  BodyWriter body;
  for (const auto address : asked.addresses) {
    Opened& opened = open(asked);  // inside the loop: opening counts as the first address's time
    SymbolizeAnswer answer;
    if (opened.info) {
      answer.frames = opened.info->at(address);
      answer.warnings = opened.info->take_warnings();
    } else if (!opened.failure.empty()) {
      answer.warnings.push_back(std::exchange(opened.failure, {}));
    }
    body.clear();
    write(body, answer);
    answers.send(body.bytes());
  }
}

void SymbolizeService::forget(FileId file) {
  std::erase_if(opened_, [file](const auto& entry) {
    return entry.first.image == file || entry.first.debug == file || entry.first.alternate == file;
  });
}

}  // namespace coppice::inspect::worker

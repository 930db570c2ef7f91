#include "inspect/worker/debug_info/debug_info.hpp"

#include "inspect/worker/debug_info/names.hpp"

namespace coppice::inspect {

Result<std::unique_ptr<DebugInfo>> DebugInfo::open(const DebugFiles& files, DebugDepth depth) {
  auto image = ElfFile::open(files.image);
  if (!image.ok()) return std::move(image).error();
  std::unique_ptr<DebugInfo> info(new DebugInfo(std::move(*image)));
  if (files.debug >= 0) info->accept_debug_file(files.debug);
  info->choose_symbols(files.bias);
  if (depth == DebugDepth::full) info->open_dwarf(files.alternate);
  return info;
}

void DebugInfo::accept_debug_file(int fd) {
  auto file = ElfFile::open(fd);
  if (!file.ok()) {
    warnings_.push_back("separate debug file ignored: " + file.error().message);
    return;
  }
  const auto wanted = image_.links(), found = file->links();
  // The build-id proves the pair; without one the whole file's CRC has to.
  const bool belongs = wanted.build_id.empty()
                           ? !wanted.debug_link.empty() && file->crc() == wanted.debug_link_crc
                           : wanted.build_id == found.build_id;
  if (belongs) {
    debug_ = std::make_unique<ElfFile>(std::move(*file));
  } else {
    warnings_.emplace_back(wanted.build_id.empty()
                               ? "separate debug file ignored: its CRC is not the recorded one"
                               : "separate debug file ignored: its build-id differs");
  }
}

void DebugInfo::choose_symbols(std::uint64_t bias) {
  const auto take = [this](const ElfFile& file, const std::optional<SymbolSource>& source) {
    if (symbols_ || !source) return;
    auto symbols = std::make_unique<SymbolTable>(file, *source, code_);
    if (!symbols->empty()) symbols_ = std::move(symbols);
  };
  take(image_, section_symbols(image_, SHT_SYMTAB));
  if (debug_) take(*debug_, section_symbols(*debug_, SHT_SYMTAB));
  take(image_, section_symbols(image_, SHT_DYNSYM));
  take(image_, dynamic_symbols(image_, bias));
}

const ElfFile* DebugInfo::dwarf_file() const {
  if (image_.section(".debug_info") || image_.section(".zdebug_info")) return &image_;
  return debug_.get();
}

void DebugInfo::open_dwarf(int alternate) {
  const ElfFile* file = dwarf_file();
  if (!file) return;
  const auto links = file->links();
  if (!links.has_dwarf) return;
  const auto undecodable = file->undecodable_section();
  if (undecodable) {
    warnings_.push_back("debug information is compressed in a way that this libelf cannot read (" +
                        *undecodable + ")");
  }
  if (!links.alternate_link.empty()) {
    if (auto shared = ElfFile::open(alternate);
        shared.ok() && shared->links().build_id == links.alternate_build_id) {
      alternate_ = std::make_unique<ElfFile>(std::move(*shared));
    } else {
      warnings_.push_back("the dwz file " + bounded_name(links.alternate_link) +
                          " was not found: some names are missing");
    }
  }
  dwarf_ = DwarfReader::open(*file, alternate_.get(), code_);
  if (!dwarf_ && !undecodable)
    warnings_.push_back(std::string("debug information could not be read: ") + dwarf_errmsg(-1));
}

std::vector<SourceFrame> DebugInfo::at(std::uint64_t address) {
  std::vector<SourceFrame> frames;
  if (!code_.at(address)) return frames;
  const auto symbol = symbols_ ? symbols_->at(address) : std::nullopt;
  if (dwarf_) frames = dwarf_->at(address, symbol);
  if (dwarf_ && dwarf_->met_split_unit() && !warned_of_split_) {
    warned_of_split_ = true;
    warnings_.emplace_back(
        "debug information is split into .dwo files, which are not read: lines without inlined calls");
  }
  if (frames.empty() && symbol) frames.push_back({readable_name(symbol->name), {}, 0, false});
  return frames;
}

std::vector<std::string> DebugInfo::take_warnings() {
  return std::exchange(warnings_, {});
}

}  // namespace coppice::inspect

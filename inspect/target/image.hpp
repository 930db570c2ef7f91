// A module's ELF image: told apart, and put together again from memory when its file is gone.
#pragma once

#include <string>

#include "inspect/base/unique_fd.hpp"
#include "inspect/memory/memory.hpp"
#include "inspect/target/module.hpp"

namespace coppice::inspect {

/// Module::identity of an image: the build-id with size and hash of .eh_frame. Without a build-id: device,
/// inode, time of modification and size of a file; a hash of everything for an image made from memory. Empty
/// when `fd` is no ELF. The hash tells builds apart; it is no defence against someone who wants two files to
/// look equal.
std::string image_identity(int fd, bool made_from_memory);

/// The build-id in the file behind `fd`, empty when it has none.
std::string file_build_id(int fd);

/// A memfd that holds what memory has of the module, every segment at its file offset: an ELF file as long as
/// one does not ask for what is never loaded. Pages that cannot be read are zero. Section headers are dropped
/// unless they were loaded, as the vdso's are. Written segments hold what the program made of them.
/// `unreadable` when not even the headers are there, `corrupt`, `io`.
Result<UniqueFd> image_from_memory(const Module& module, const Memory& memory);

}  // namespace coppice::inspect

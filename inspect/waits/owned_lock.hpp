// Locks that know who has them.
#pragma once

#include <optional>
#include <unordered_map>

#include "inspect/waits/heap.hpp"
#include "inspect/waits/search.hpp"

namespace coppice::inspect {

/// A greenlet is known to wait for a semaphore. Where that is the `_block` of an RLock whose method the
/// greenlet is in (a variable of one of its innermost Python frames is the RLock), this is the wait for the
/// RLock; and for its owner, where it has one that is among `greenlets`. A semaphore itself, and a
/// threading.Lock, keeps no owner.
///
///     gevent.lock.RLock   _owner is the greenlet
///     threading._RLock    _owner is threading.get_ident(), which is the greenlet's address where gevent or
///                         eventlet has patched it. Where the owner has gone without releasing it, that
///                         is whoever has this address now: the lock itself takes that one for its owner
///
/// None when it is no such lock. Provisional while Heap::pending().
std::optional<Waiting> wait_for_owned_lock(Heap& heap, WaitSearch& search, Address semaphore,
                                           const std::unordered_map<Address, const Greenlet*>& greenlets);

}  // namespace coppice::inspect

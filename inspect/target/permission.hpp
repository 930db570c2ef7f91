// Why the kernel does not let us look into a process, and what to do about it.
#pragma once

#include "inspect/base/result.hpp"
#include "inspect/target/proc_files.hpp"

namespace coppice::inspect {

/// What decides whether this process may read another (ptrace(2), "Ptrace access mode checking").
struct AccessFacts {
  uid_t our_uid = 0;
  bool we_have_cap_sys_ptrace = false;
  bool our_system_calls_filtered = false;
  uid_t target_uid = 0;
  bool target_undumpable = false;  ///< its /proc files belong to another user than it runs as (setuid, prctl)
  bool other_user_namespace = false;
  int yama_scope = 0;  ///< /proc/sys/kernel/yama/ptrace_scope; 0 also when there is no Yama
};

/// Collects the facts about the process behind `directory` (/proc/PID).
AccessFacts gather_access_facts(int directory, const ProcStatus& target);

/// `not_permitted`, with the reason that applies and its remedy.
Error explain_refusal(pid_t pid, const AccessFacts& facts, int error);

}  // namespace coppice::inspect

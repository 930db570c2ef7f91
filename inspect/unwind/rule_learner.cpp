#include "inspect/unwind/rule_learner.hpp"

#include <algorithm>
#include <cstring>

#include "inspect/worker/learn_protocol.hpp"

namespace coppice::inspect {
namespace {

// Learning a rule takes some microseconds, unless an index must be made first (tens of milliseconds at
// worst).
constexpr std::uint32_t generous_cpu_ms = 1000;
constexpr std::uint32_t short_cpu_ms = 20;
constexpr unsigned generous_stalls = 2;
constexpr unsigned max_stalls = 100;

// How many answers travel together while nothing is wrong: what a crash can cost to ask again.
constexpr std::uint16_t answers_together = 64;

}  // namespace

std::uint32_t RuleLearner::allowed_cpu_ms(std::uint32_t file) const {
  const auto trouble = troubles_.find(file);
  if (trouble == troubles_.end() || trouble->second.stalls < generous_stalls) return generous_cpu_ms;
  return trouble->second.stalls < max_stalls ? short_cpu_ms : 0;
}

Result<Worker::Outcome> RuleLearner::ask(std::span<const FileKey> keys, std::uint16_t batch,
                                         std::vector<Rule>& rules) {
  worker::BodyWriter body;
  std::vector<worker::FileId> files;
  for (const FileKey& key : keys) {
    body.put(worker::LearnItem{key.offset, key.file, key.exact ? 1U : 0U});
    if (files.empty() || files.back() != key.file) files.push_back(key.file);
  }
  Worker::Request request;
  request.kind = worker::MessageKind::learn_rules;
  request.body = body.bytes();
  request.files = files;
  request.batch = batch;
  request.item_cpu_ms = allowed_cpu_ms(keys.front().file);
  const std::size_t wanted = rules.size() + keys.size();
  return worker_.ask(request, [&](std::span<const std::byte> answer) {
    if (rules.size() == wanted) return;
    Rule rule;
    rule.status = Rule::Status::malformed;
    if (answer.size() == sizeof rule) std::memcpy(static_cast<void*>(&rule), answer.data(), sizeof rule);
    if (!is_sound(rule)) {
      rule = Rule{};
      rule.status = Rule::Status::malformed;
    }
    rules.push_back(rule);
  });
}

// Stops before the answers that a crash took along.
Result<void> RuleLearner::learn_together(std::span<const FileKey> keys, std::vector<Rule>& rules) {
  auto outcome = ask(keys, answers_together, rules);
  if (!outcome.ok()) return std::move(outcome).error();
  return {};
}

// Each answer comes before the next item is begun, so the first one missing names the culprit.
Result<void> RuleLearner::learn_singly(std::span<const FileKey> keys, std::vector<Rule>& rules) {
  const std::size_t before = rules.size();
  while (rules.size() - before < keys.size()) {
    const auto left = keys.subspan(rules.size() - before);
    Rule failed;
    failed.status = Rule::Status::given_up;
    if (allowed_cpu_ms(left.front().file) == 0) {
      rules.push_back(failed);
      continue;
    }
    // Only items of one file go together: the time allowed is that file's.
    const auto other = std::find_if(left.begin(), left.end(),
                                    [&](const FileKey& key) { return key.file != left.front().file; });
    const auto same_file = left.first(static_cast<std::size_t>(other - left.begin()));
    const std::size_t answered = rules.size();
    auto outcome = ask(same_file, 1, rules);
    if (!outcome.ok()) return std::move(outcome).error();
    if (rules.size() - answered == same_file.size()) continue;
    const bool stalled = outcome.value() == Worker::Outcome::stalled;
    Trouble& trouble = troubles_[left.front().file];
    ++(stalled ? trouble.stalls : trouble.crashes);
    failed.status = stalled ? Rule::Status::stalled : Rule::Status::crashed;
    rules.push_back(failed);
  }
  return {};
}

Result<std::vector<Rule>> RuleLearner::learn(std::span<const FileKey> keys) {
  std::vector<Rule> rules;
  rules.reserve(keys.size());
  while (rules.size() < keys.size()) {
    const auto left = keys.subspan(rules.size());
    const auto troubled = std::find_if(left.begin(), left.end(),
                                       [&](const FileKey& key) { return troubles_.contains(key.file); });
    const auto untroubled = left.first(static_cast<std::size_t>(troubled - left.begin()));
    const std::size_t answered = rules.size();
    if (untroubled.empty()) {
      const auto end = std::find_if(left.begin(), left.end(),
                                    [&](const FileKey& key) { return !troubles_.contains(key.file); });
      auto done = learn_singly(left.first(static_cast<std::size_t>(end - left.begin())), rules);
      if (!done.ok()) return std::move(done).error();
      continue;
    }
    auto done = learn_together(untroubled, rules);
    if (!done.ok()) return std::move(done).error();
    const std::size_t got = rules.size() - answered;
    if (got == untroubled.size()) continue;
    // The worker died at one of the answers it held back.
    done = learn_singly(
        untroubled.subspan(got, std::min<std::size_t>(answers_together, untroubled.size() - got)), rules);
    if (!done.ok()) return std::move(done).error();
  }
  return rules;
}

}  // namespace coppice::inspect

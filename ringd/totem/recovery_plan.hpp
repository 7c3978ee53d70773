// Recovery, computed alike by all members from the commit token: who comes along from the same old
// ring, which of its messages they must all have, and who sends each missing one, once.
#pragma once

#include <cstddef>
#include <vector>

#include "ringd/totem/commit_token.hpp"

namespace totem {

struct RecoveryPlan {
    NodeSet transitional{};  // Members of the new ring that come from our old one, with us.
    // Whose messages behind a gap are delivered: theirs, and of those to whom one of them is
    // obliged since an earlier recovery (Totem section 5, the obligation set).
    NodeSet delivered_with{};
    Holdings together{};         // What they hold, taken together.
    Seq safe_line{};             // The highest of theirs: all of the old ring hold all up to here.
    std::vector<Seq> to_send{};  // Of these we are the one who sends. Ascending.
};

// Needs: all entries are there; self is a member.
[[nodiscard]] RecoveryPlan plan_recovery(const CommitToken& token, base::NodeId self);

}  // namespace totem

// What the parts of gather share: what is proposed and when (gather_proposal.cpp), and who is told
// (gather_words.cpp). The state itself is in gather.cpp.
#pragma once

#include "ringd/totem/states.hpp"

namespace totem {

// Of many nodes each needs its time to tell all what it proposes.
[[nodiscard]] Duration round_length(const Core& core);

// A ring is left when somebody in it is lost, not for one who was lost before.
[[nodiscard]] bool hears_all(const Core& core, const NodeSet& members);

// Brings the proposal up to what is known, and tells it where it is another one. Soon after it was
// made more is likely to come: then it is done when that has come as well.
void update_proposal(Context& context, Gather& gather);

// Among many: whoever seems to be the representative says what it proposes, or of which ring it is.
void hear_representative(const Core& core, Gather& gather, base::NodeId from,
                         const JoinMessage& join);

// Is it no more waited for who may come along?
[[nodiscard]] bool is_settled(const Gather& gather);

// A new proposal, to whom it concerns.
void say_proposal(Context& context, Gather& gather);
// To all.
void tell_proposal(Context& context, Gather& gather);
// For who may have missed it.
void repeat_proposal(Context& context, Gather& gather);
// Whom we hear, which does not change any more, to who will be the representative.
void tell_row(Context& context, const Gather& gather, base::NodeId representative);

}  // namespace totem

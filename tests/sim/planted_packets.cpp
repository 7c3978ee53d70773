// Planted faults on the wire: two tokens, a seq given twice, counters that go wrong.
#include <algorithm>

#include "tests/sim/planted.hpp"

namespace sim {
namespace {

// Inserts a changed copy of the last entry of this type, right after it.
template <class What, class Change>
std::function<bool(Trace&)> doubled(const Change& change) {
    return [change](Trace& trace) {
        const auto at = std::find_if(trace.rbegin(), trace.rend(), [](const Entry& entry) {
            return std::holds_alternative<What>(entry.what);
        });
        if (at == trace.rend()) return false;
        Entry copy = *at;
        if (!change(std::get<What>(copy.what))) return false;
        trace.insert(at.base(), copy);
        return true;
    };
}

}  // namespace

std::vector<PlantedInTrace> planted_packets() {
    return {
        {"a second token", "T1", doubled<TokenSent>([](TokenSent& token) {
             ++token.digest;
             return true;
         })},
        {"a seq is given to two messages", "T2", doubled<DataSent>([](DataSent& data) {
             ++data.digest;
             return true;
         })},
        {"aru above seq", "T3", doubled<TokenSent>([](TokenSent& token) {
             token.token_seq = totem::TokenSeq{token.token_seq.value() + 1};
             token.aru = totem::Seq{token.seq.value() + 1};
             return true;
         })},
        {"seq goes back", "T4", doubled<TokenSent>([](TokenSent& token) {
             token.token_seq = totem::TokenSeq{token.token_seq.value() + 1};
             if (token.seq == totem::Seq{}) return false;
             token.seq = token.aru = totem::Seq{};
             return true;
         })},
        {"two commit tokens for one ring", "T5", doubled<CommitTokenSent>([](CommitTokenSent& it) {
             it.members.pop_back();
             return true;
         })},
    };
}

}  // namespace sim

#include "ringd/totem/ring_stats.hpp"

namespace totem {

std::string_view name_of(GatherReason reason) {
    switch (reason) {
        case GatherReason::Started:
            return "started";
        case GatherReason::PartitionChanged:
            return "partition changed";
        case GatherReason::MemberRestarted:
            return "member restarted";
        case GatherReason::MemberGathers:
            return "member gathers";
        case GatherReason::TokenLost:
            return "token lost";
        case GatherReason::TokenNotReturned:
            return "token not returned";
        case GatherReason::CommitLost:
            return "commit token lost";
        case GatherReason::RecoveryLost:
            return "recovery token lost";
    }
    return "";
}

std::string_view name_of(DropCause cause) {
    switch (cause) {
        case DropCause::Malformed:
            return "malformed";
        case DropCause::UnknownSender:
            return "unknown sender";
        case DropCause::OtherRing:
            return "other ring";
        case DropCause::Duplicate:
            return "duplicate";
        case DropCause::WrongState:
            return "wrong state";
        case DropCause::Spoofed:
            return "spoofed";
        case DropCause::TooFarAhead:
            return "too far ahead";
    }
    return "";
}

}  // namespace totem

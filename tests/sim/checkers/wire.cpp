// The protocol on the wire: one token (T1), each seq given once (T2), counters that fit together
// (T3, T4), commit tokens that agree (T5, T6), packets that fit the path (W1), no busy loop (W2),
// nothing malformed (W3).
#include <map>
#include <tuple>

#include "tests/sim/checkers/checkers.hpp"

namespace sim {
namespace {

class Wire {
  public:
    Wire(const History& history, Report& report) : history_(history), report_(report) {}

    void check() {
        const Trace& trace = *history_.trace;
        for (entry_ = 0; entry_ < trace.size(); ++entry_) {
            who_ = trace[entry_].who;
            const What& what = trace[entry_].what;
            if (const auto* token = std::get_if<TokenSent>(&what)) on(*token);
            if (const auto* data = std::get_if<DataSent>(&what)) on(*data);
            if (const auto* commit = std::get_if<CommitTokenSent>(&what)) on(*commit);
            if (const auto* installed = std::get_if<Installed>(&what)) on(*installed);
            if (std::holds_alternative<TooLarge>(what)) {
                report_.add("W1", entry_, "the path does not carry the packet");
            }
            if (std::holds_alternative<Malformed>(what)) {
                report_.add("W3", entry_, "sends what its own decoder refuses");
            }
            if (std::holds_alternative<Spinning>(what)) {
                report_.add("W2", entry_, "stepped for ever at one time");
            }
        }
    }

  private:
    void on(const TokenSent& token) {
        if (token.aru > token.seq) report_.add("T3", entry_, "aru above seq");
        const auto [at, is_new] =
            tokens_.emplace(std::pair(token.ring, token.token_seq), Token{who_, token.digest});
        if (!is_new && at->second.digest != token.digest) {
            report_.add("T1", entry_, "another token has this token_seq");
        }
        if (!is_new && at->second.sender != who_) {
            report_.add("T1", entry_, "two processes send this token");
        }
        auto& last = last_[token.ring];
        if (token.token_seq > last.first) {
            if (token.seq < last.second) report_.add("T4", entry_, "seq goes back");
            last = {token.token_seq, token.seq};
        }
    }

    void on(const DataSent& data) {
        const auto [at, is_new] = data_.emplace(std::pair(data.ring, data.seq), data.digest);
        if (!is_new && at->second != data.digest) {
            report_.add("T2", entry_, "another message has this seq");
        }
    }

    void on(const CommitTokenSent& commit) {
        const auto [at, is_new] = members_.emplace(commit.ring, commit.members);
        if (!is_new && at->second != commit.members) {
            report_.add("T5", entry_, "two commit tokens for this ring name other members");
        }
    }

    void on(const Installed& installed) {
        const auto& configuration = installed.configuration;
        if (configuration.kind != totem::InstallConfiguration::Kind::Regular) return;
        const auto at = members_.find(configuration.ring);
        if (at != members_.end() && at->second != configuration.members) {
            report_.add("T6", entry_, "installed members are not those of the commit token");
        }
    }

    struct Token {
        Process sender;
        std::uint64_t digest = 0;
    };

    const History& history_;
    Report& report_;
    std::size_t entry_ = 0;
    Process who_;
    std::map<std::pair<base::RingId, totem::TokenSeq>, Token> tokens_;
    std::map<base::RingId, std::pair<totem::TokenSeq, totem::Seq>> last_;
    std::map<std::pair<base::RingId, totem::Seq>, std::uint64_t> data_;
    std::map<base::RingId, std::vector<base::NodeId>> members_;
};

}  // namespace

void check_wire(const History& history, Report& report) {
    Wire(history, report).check();
}

}  // namespace sim

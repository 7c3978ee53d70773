#include "tests/sim/trace.hpp"

#include <cstdio>

namespace sim {
namespace {

template <class... Visitors>
struct Overloaded : Visitors... {
    using Visitors::operator()...;
};
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

std::string number(std::uint64_t value) {
    return std::to_string(value);
}

std::string guarantee_text(totem::Guarantee guarantee) {
    return guarantee == totem::Guarantee::Safe ? "safe" : "agreed";
}

std::string installed_text(const totem::InstallConfiguration& configuration) {
    const bool regular = configuration.kind == totem::InstallConfiguration::Kind::Regular;
    return std::string("install ") + (regular ? "regular " : "transitional ") +
           to_text(configuration.ring) + " after " + to_text(configuration.previous) + " " +
           to_text(configuration.members);
}

std::string delivered_text(const Delivered& delivered) {
    return "deliver " + to_text(delivered.ring) + "#" + number(delivered.seq.value()) + "." +
           number(delivered.index) + " " + guarantee_text(delivered.guarantee) + " from n" +
           number(delivered.sender.value()) + ": " + to_text(delivered.message) + " " +
           number(delivered.size) + " B" + (delivered.intact ? "" : " DAMAGED");
}

std::string phase_text(const PhaseBegan& phase) {
    std::string text = "phase: running " + to_text(phase.running) + " cut";
    for (const auto& [from, to] : phase.cut) {
        text += " " + number(from.value()) + ">" + number(to.value());
    }
    return text + " bound " + number(static_cast<std::uint64_t>(phase.bound.count() / 1'000'000)) +
           " ms";
}

std::string what_text(const What& what) {
    return std::visit(
        Overloaded{
            [](const Started& it) { return "start with " + to_text(it.durable); },
            [](const Ended& it) {
                return std::string(it.how == Ended::How::Left ? "left" : "crash");
            },
            [](const Sent& it) {
                return "send " + number(it.number) + " " + guarantee_text(it.guarantee) +
                       (it.urgent ? " urgent " : " ") + number(it.size) + " B";
            },
            [](const TakenTo& it) { return "taken to " + number(it.number); },
            [](const Delivered& it) { return delivered_text(it); },
            [](const Installed& it) { return installed_text(it.configuration); },
            [](const Stored& it) { return "stored " + to_text(it.ring); },
            [](const TokenSent& it) {
                return "token " + to_text(it.ring) + " token_seq " + number(it.token_seq.value()) +
                       " seq " + number(it.seq.value()) + " aru " + number(it.aru.value());
            },
            [](const CommitTokenSent& it) {
                return "commit token " + to_text(it.ring) + " " + to_text(it.members);
            },
            [](const DataSent& it) {
                return "data " + to_text(it.ring) + "#" + number(it.seq.value());
            },
            [](const DataReceived& it) {
                return "received " + to_text(it.ring) + "#" + number(it.seq.value());
            },
            [](const TooLarge& it) {
                return "packet of " + number(it.bytes) + " B, path carries " + number(it.limit);
            },
            [](const Malformed& it) { return "malformed packet of " + number(it.bytes) + " B"; },
            [](const Spinning&) { return std::string("spins without progress of time"); },
            [](const FaultBegan& it) { return "fault " + it.text; },
            [](const Said& it) { return it.text; },
            [](const FaultEnded& it) { return "end of " + it.text; },
            [](const PhaseBegan& it) { return phase_text(it); },
            [](const PhaseEnded&) { return std::string("phase ends"); },
        },
        what);
}

// FNV-1a over 64-bit words, then mixed: enough to tell two runs apart.
class Hash {
  public:
    void add(std::uint64_t word) {
        value_ = (value_ ^ word) * 0x100000001b3u;
        value_ ^= value_ >> 29u;
    }
    void add(const std::string& text) {
        for (const char c : text)
            add(static_cast<std::uint64_t>(static_cast<unsigned char>(c)));
    }
    [[nodiscard]] std::uint64_t value() const { return value_; }

  private:
    std::uint64_t value_ = 0xcbf29ce484222325u;
};

}  // namespace

std::uint64_t hash_of(const Trace& trace) {
    Hash hash;
    for (const Entry& entry : trace) {
        hash.add(static_cast<std::uint64_t>(entry.at.time_since_epoch().count()));
        hash.add(entry.who.node.value());
        hash.add(entry.who.life);
        hash.add(entry.what.index());
        if (const auto* data = std::get_if<DataSent>(&entry.what)) {
            hash.add(data->digest);
            hash.add(data->seq.value());
        } else if (const auto* received = std::get_if<DataReceived>(&entry.what)) {
            hash.add(received->seq.value());
        } else if (const auto* token = std::get_if<TokenSent>(&entry.what)) {
            hash.add(token->digest);
        } else {
            hash.add(what_text(entry.what));
        }
    }
    return hash.value();
}

std::string to_text(const base::RingId& ring) {
    return number(ring.seq) + "@" + number(ring.representative.value());
}

std::string to_text(const Process& process) {
    return "n" + number(process.node.value()) + "." + number(process.life);
}

std::string to_text(const MessageId& message) {
    return to_text(message.sender) + "/" + number(message.number);
}

std::string to_text(const std::vector<base::NodeId>& nodes) {
    std::string text = "{";
    for (const base::NodeId node : nodes)
        text += (text.size() > 1 ? " " : "") + number(node.value());
    return text + "}";
}

std::string to_text(const Entry& entry) {
    const auto nanoseconds = static_cast<std::uint64_t>(entry.at.time_since_epoch().count());
    char time[32];
    std::snprintf(time, sizeof time, "%4llu.%06llu ",
                  static_cast<unsigned long long>(nanoseconds / 1'000'000'000),
                  static_cast<unsigned long long>(nanoseconds % 1'000'000'000 / 1'000));
    const std::string who = entry.who.life == 0 ? "cluster" : to_text(entry.who);
    return time + who + " " + what_text(entry.what);
}

}  // namespace sim

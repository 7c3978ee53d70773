#include "libclient/tools/stream_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "libclient/tools/group_text.hpp"
#include "libclient/tools/key_text.hpp"

namespace haloctl {
namespace {

using nlohmann::json;

template <class Told>
constexpr bool kIsOfGroup =
    std::is_same_v<Told, halo::Message> || std::is_same_v<Told, halo::Membership> ||
    std::is_same_v<Told, halo::Ring>;

std::string name_of(halo::Group group, const GroupNames& groups) {
    const auto name = groups.find(group);
    return name == groups.end() ? "?" : name->second;
}

const char* name_of(halo::Daemon daemon) {
    switch (daemon) {
        case halo::Daemon::Cpgd:
            return "cpgd";
        case halo::Daemon::Quorumd:
            return "quorumd";
        case halo::Daemon::Cmapd:
            return "cmapd";
    }
    return "unknown";
}

struct Text {
    const GroupNames& groups;

    template <class Told>
    std::string operator()(const Told& told) const {
        static_assert(kIsOfGroup<Told>);
        return name_of(told.group, groups) + " " + event_text(halo::Event(told));
    }
    std::string operator()(const halo::NodesChange& change) const {
        return fmt::format("* nodes {} in ring {}.{}", fmt::join(change.nodes, " "),
                           change.representative, change.ring_seq);
    }
    std::string operator()(const halo::QuorumChange& change) const {
        return fmt::format("* {} in ring {}.{}", change.quorate ? "quorate" : "not quorate",
                           change.representative, change.ring_seq);
    }
    std::string operator()(const halo::KeyChange& change) const {
        return "key " + change_text(change);
    }
    std::string operator()(const halo::DaemonBack& back) const {
        return fmt::format("* {} was restarted, nothing was lost", name_of(back.daemon));
    }
};

struct Json {
    const GroupNames& groups;

    template <class Told>
    json operator()(const Told& told) const {
        static_assert(kIsOfGroup<Told>);
        json event = json::parse(event_json(halo::Event(told)));
        event["group"] = name_of(told.group, groups);
        return event;
    }
    json operator()(const halo::NodesChange& change) const {
        return {{"event", "nodes"},
                {"seq", change.ring_seq},
                {"representative", change.representative},
                {"nodes", change.nodes},
                {"joined", change.joined},
                {"left", change.left}};
    }
    json operator()(const halo::QuorumChange& change) const {
        return {{"event", "quorum"},
                {"quorate", change.quorate},
                {"seq", change.ring_seq},
                {"representative", change.representative},
                {"nodes", change.nodes}};
    }
    json operator()(const halo::KeyChange& change) const {
        json event = change_json(change);
        event["event"] = "key";
        return event;
    }
    json operator()(const halo::DaemonBack& back) const {
        return {{"event", "back"}, {"daemon", name_of(back.daemon)}};
    }
};

}  // namespace

std::string stream_text(const halo::StreamEvent& event, const GroupNames& groups) {
    return std::visit(Text{groups}, event);
}

std::string stream_json(const halo::StreamEvent& event, const GroupNames& groups) {
    return std::visit(Json{groups}, event).dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace haloctl

#include "libclient/tools/group_text.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace haloctl {
namespace {

using nlohmann::json;

const char* reason_text(halo::Reason reason) {
    switch (reason) {
        case halo::Reason::Undefined:
            return "undefined";
        case halo::Reason::Join:
            return "join";
        case halo::Reason::Leave:
            return "leave";
        case halo::Reason::NodeDown:
            return "node down";
        case halo::Reason::NodeUp:
            return "node up";
        case halo::Reason::ProcessDown:
            return "process down";
    }
    return "unknown";
}

std::string members_text(const std::vector<halo::Member>& members) {
    std::string text;
    for (const halo::Member& member : members) {
        text += " " + member_text(member);
    }
    return text;
}

std::string changes_text(const std::vector<halo::Change>& changes, const char* sign) {
    std::string text;
    for (const halo::Change& change : changes) {
        text +=
            fmt::format(" {}{} ({})", sign, member_text(change.member), reason_text(change.reason));
    }
    return text;
}

json member_json(const halo::Member& member) {
    return {{"node", member.node}, {"pid", member.pid}};
}

json changes_json(const std::vector<halo::Change>& changes) {
    json list = json::array();
    for (const halo::Change& change : changes) {
        json entry = member_json(change.member);
        entry["reason"] = reason_text(change.reason);
        list.push_back(std::move(entry));
    }
    return list;
}

struct Text {
    std::string operator()(const halo::Message& message) const {
        return fmt::format("{}: {}", member_text(message.sender), payload_text(message.bytes));
    }
    std::string operator()(const halo::Membership& membership) const {
        return fmt::format("*{}{} members:{}", changes_text(membership.joined, "+"),
                           changes_text(membership.left, "-"), members_text(membership.members));
    }
    std::string operator()(const halo::Ring& ring) const {
        return fmt::format("* ring {}.{} nodes: {}", ring.representative, ring.seq,
                           fmt::join(ring.nodes, " "));
    }
    std::string operator()(const halo::Resumed&) const {
        return "* cpgd was restarted, nothing was lost";
    }
};

struct Json {
    json operator()(const halo::Message& message) const {
        return {{"event", "message"},
                {"sender", member_json(message.sender)},
                {"bytes", message.bytes.size()},
                {"text", payload_text(message.bytes, message.bytes.size())}};
    }
    json operator()(const halo::Membership& membership) const {
        json members = json::array();
        for (const halo::Member& member : membership.members) {
            members.push_back(member_json(member));
        }
        return {{"event", "membership"},
                {"members", std::move(members)},
                {"joined", changes_json(membership.joined)},
                {"left", changes_json(membership.left)}};
    }
    json operator()(const halo::Ring& ring) const {
        return {{"event", "ring"},
                {"seq", ring.seq},
                {"representative", ring.representative},
                {"nodes", ring.nodes}};
    }
    json operator()(const halo::Resumed&) const { return {{"event", "resumed"}}; }
};

}  // namespace

std::string payload_text(std::span<const std::byte> payload, std::size_t bytes_max) {
    std::string text;
    for (const std::byte byte : payload.first(std::min(payload.size(), bytes_max))) {
        const auto value = std::to_integer<unsigned char>(byte);
        if (value == '\\') {
            text += "\\\\";
        } else if (value >= ' ' && value < 127) {
            text += static_cast<char>(value);
        } else {
            text += fmt::format("\\x{:02x}", value);
        }
    }
    if (payload.size() > bytes_max) text += fmt::format("… ({} bytes)", payload.size());
    return text;
}

std::string member_text(const halo::Member& member) {
    return fmt::format("{}/{}", member.node, member.pid);
}

std::string event_text(const halo::Event& event) {
    return std::visit(Text{}, event);
}

std::string event_json(const halo::Event& event) {
    return std::visit(Json{}, event).dump();
}

}  // namespace haloctl

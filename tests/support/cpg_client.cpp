#include "tests/support/cpg_client.hpp"

#include <array>
#include <cstring>

#include "common/base/invariant.hpp"

namespace support {
namespace {

namespace api = protocol::cpg;

base::Buffer bytes_of(const std::string& text) {
    return base::Buffer::copy_of(std::as_bytes(std::span(text)));
}

std::string text_of(const base::Buffer& buffer) {
    std::string text(buffer.size(), '\0');
    if (!buffer.empty()) std::memcpy(text.data(), buffer.data(), buffer.size());
    return text;
}

}  // namespace

api::Hello CpgClient::hello() const {
    return {.session = session,
            .pid = pid,
            .last_event = last_event,
            .totem_events = totem_events,
            .initial_totem_event = true};
}

void CpgClient::ask(api::ClientFrame frame, Frames& sent) {
    request = frame;
    if (is_welcome) sent.push_back(std::move(frame));
}

std::uint32_t CpgClient::join(const std::string& group, std::uint32_t handle, Frames& sent) {
    const std::uint32_t number = next_request++;
    stays[handle] = {.group = group, .node = node, .pid = pid, .stay = stay_count[group]++};
    ask(api::Join{.request = number, .handle = api::GroupHandle{handle}, .group = group}, sent);
    return number;
}

std::uint32_t CpgClient::leave(std::uint32_t handle, CpgChecker& checker, Frames& sent) {
    const std::uint32_t number = next_request++;
    checker.gone(stays.at(handle));
    ask(api::Leave{.request = number, .handle = api::GroupHandle{handle}}, sent);
    return number;
}

// "node:pid:number:text" names the message in the whole run.
void CpgClient::send(const std::string& text, std::uint32_t handle, CpgChecker& checker,
                     Frames& sent) {
    const std::uint64_t number = next_number++;
    const std::string message = std::to_string(node.value()) + ":" + std::to_string(pid) + ":" +
                                std::to_string(number) + ":" + text;
    checker.sent(stays.at(handle), message);
    uncredited.push_back({.number = number,
                          .handle = api::GroupHandle{handle},
                          .message_bytes = message.size(),
                          .payload = bytes_of(message)});
    if (is_welcome) sent.emplace_back(uncredited.back());
}

void CpgClient::gone(CpgChecker& checker) const {
    for (const auto& [handle, stay] : stays) {
        checker.gone(stay);
    }
}

void CpgClient::take(const api::CpgdFrame& frame, CpgChecker& checker, const TagOf& tag_of,
                     Frames& sent) {
    if (const auto* welcome = std::get_if<api::Welcome>(&frame)) {
        on(*welcome, checker, sent);
    } else if (const auto* no = std::get_if<api::Refused>(&frame)) {
        refused = no->error;
    } else if (const auto* reply = std::get_if<api::Reply>(&frame)) {
        answers[reply->request] = reply->error;
        request.reset();
    } else if (const auto* credit = std::get_if<api::Credit>(&frame)) {
        window = credit->window_bytes;
        while (!uncredited.empty() && uncredited.front().number <= credit->taken) {
            uncredited.pop_front();
        }
    } else if (const auto* reply_of_groups = std::get_if<api::GroupsReply>(&frame)) {
        groups = *reply_of_groups;
        request.reset();
    } else if (const auto* event = std::get_if<api::SessionEvent>(&frame)) {
        const auto* run = std::get_if<api::DeliveredRun>(&event->what);
        if (run == nullptr) return on(*event, checker, tag_of, sent);
        INVARIANT(takes_runs);
        api::for_each_event(event->event, *run, [&](const api::SessionEvent& one) {
            if (one.event > last_event) on(one, checker, tag_of, sent);  // Else: said again.
        });
    }
}

CpgClient::Frames CpgClient::as_written(const Frames& frames) const {
    Frames written;
    for (std::size_t i = 0; i < frames.size();) {
        const auto* first = std::get_if<api::Mcast>(&frames[i]);
        std::vector<std::byte> messages;
        std::size_t count = 0;
        for (; takes_runs && first != nullptr && i + count < frames.size(); ++count) {
            const auto* next = std::get_if<api::Mcast>(&frames[i + count]);
            if (next == nullptr || next->handle != first->handle) break;
            std::array<std::byte, api::kRunLengthBytes> length;
            api::write_run_length(next->payload.size(), length.data());
            messages.insert(messages.end(), length.begin(), length.end());
            const auto payload = next->payload.bytes();
            messages.insert(messages.end(), payload.begin(), payload.end());
        }
        if (count < 2) {
            written.push_back(frames[i++]);
            continue;
        }
        written.emplace_back(
            api::McastRun{.number = first->number,
                          .handle = first->handle,
                          .safe = first->safe,
                          .messages = *api::MessageRun::parse(base::Buffer::copy_of(messages))});
        i += count;
    }
    return written;
}

void CpgClient::on(const api::Welcome& welcome, CpgChecker& checker, Frames& sent) {
    if (!welcome.resumed && session != api::SessionId{}) {
        ++sessions_lost;
        gone(checker);
        last_event = 0;
        next_request = 1;
        next_number = 1;
        uncredited.clear();
        request.reset();
    }
    session = welcome.session;
    is_welcome = true;
    window = welcome.window_bytes;
    if (request) sent.push_back(*request);
    for (const api::Mcast& mcast : uncredited) {
        if (mcast.number > welcome.taken) sent.emplace_back(mcast);
    }
}

void CpgClient::on(const api::SessionEvent& event, CpgChecker& checker, const TagOf& tag_of,
                   Frames& sent) {
    INVARIANT(event.event == last_event + 1);
    last_event = event.event;
    const ViewTag view = tag_of(session, event.event);
    if (const auto* delivered = std::get_if<api::Delivered>(&event.what)) {
        const std::string message = text_of(delivered->payload);
        const std::size_t number_at = message.find(':', message.find(':') + 1) + 1;
        checker.delivered(stays.at(delivered->handle.value()), view, delivered->node,
                          delivered->pid, std::stoull(message.substr(number_at)), message);
        received.push_back(message);
    } else if (const auto* change = std::get_if<api::Confchg>(&event.what)) {
        ++confchgs;
        checker.confchg(stays.at(change->handle.value()), view, *change);
    } else {
        const auto& totem = std::get<api::TotemConfchg>(event.what);
        checker.totem(stays.at(totem.handle.value()), view, totem.ring);
    }
    if (acknowledges) sent.emplace_back(acknowledgement());
}

}  // namespace support

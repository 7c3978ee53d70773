#include "common/ipc/status_server.hpp"

#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "common/ipc/status_client.hpp"

namespace ipc {
namespace {

// Answers a turn: a client that asks without pause must not keep the loop from its real work.
constexpr int kAnswersATurn = 16;

bool default_may_get(const Peer& peer) {
    return peer.uid == 0 || peer.gid == 0 || peer.uid == ::geteuid();
}

bool default_may_do(const Peer& peer) {
    return peer.uid == 0 || peer.uid == ::geteuid();
}

nlohmann::json error_value(std::string text) {
    return {{"error", std::move(text)}};
}

}  // namespace

os::Result<std::unique_ptr<StatusServer>> StatusServer::create(os::EventLoop& loop,
                                                               Options options) {
    auto socket = ZmqSocket::create(ZmqSocket::Kind::Router, {.queued_max = kStatusQueuedMax,
                                                              .bytes_max = kStatusRequestBytesMax});
    if (!socket) return base::fail(socket.error());
    if (auto bound = socket->bind(options.path, options.listener); !bound)
        return base::fail(bound.error());
    // All may connect; who may ask is decided by what the kernel says about the caller.
    if (!options.listener && ::chmod(options.path.c_str(), 0666) != 0)
        return os::last_error("chmod " + options.path);

    if (!options.may_get) options.may_get = default_may_get;
    if (!options.may_do) options.may_do = default_may_do;
    std::unique_ptr<StatusServer> server(
        new StatusServer(loop, std::move(options), std::move(*socket)));
    const auto added = loop.add(server->descriptor_, EPOLLIN,
                                [raw = server.get()](std::uint32_t) { raw->drain(); });
    if (!added) return base::fail(added.error());
    return server;
}

StatusServer::StatusServer(os::EventLoop& loop, Options options, ZmqSocket socket)
    : loop_(loop),
      options_(std::move(options)),
      socket_(std::move(socket)),
      descriptor_(socket_.descriptor()),
      alive_(std::make_shared<StatusServer*>(this)) {}

StatusServer::~StatusServer() {
    loop_.remove(descriptor_);
}

void StatusServer::drain() {
    // The descriptor tells changes only: whatever is left unread must be looked at again by
    // ourselves, and a send may have consumed the news of a request.
    for (int answered = 0; socket_.is_readable(); ++answered) {
        if (answered == kAnswersATurn) {
            loop_.defer([weak = std::weak_ptr(alive_)] {
                if (const auto self = weak.lock()) (*self)->drain();
            });
            return;
        }
        auto received = socket_.receive();
        if (!received || !received->has_value()) return;
        answer(std::move(**received));
    }
}

void StatusServer::answer(ZmqMessage request) {
    ++counters_.requests;
    // ROUTER gives the routing id, then what was sent: the text (DEALER), or an empty frame and the
    // text (REQ). The answer goes back in the same envelope.
    std::string text = std::move(request.frames.back());
    request.frames.pop_back();
    const bool is_enveloped =
        request.frames.size() == 1 || (request.frames.size() == 2 && request.frames[1].empty());
    Value reply{{"daemon", options_.daemon}, {"pid", ::getpid()}};
    if (is_enveloped) {
        reply.update(reply_to(text, request.peer));
    } else {
        ++counters_.malformed;
        reply.update(error_value("a request is one frame"));
        request.frames.resize(1);
    }
    // Text of a client or peer may be no UTF-8: replaced, never thrown.
    request.frames.push_back(reply.dump(-1, ' ', false, Value::error_handler_t::replace));
    const auto sent = socket_.send(request.frames);
    if (!sent || !*sent) ++counters_.dropped;
}

StatusServer::Value StatusServer::reply_to(const std::string& text,
                                           const std::optional<Peer>& peer) {
    const Value request = Value::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!peer) {
        ++counters_.refused;
        return error_value("permission denied: the connection does not say who you are");
    }
    if (request.is_object()) {
        const auto asked = request.find("get");
        if (asked != request.end() && asked->is_string())
            return get(asked->get<std::string>(), *peer);
        const auto ordered = request.find("do");
        if (ordered != request.end() && ordered->is_string())
            return act(ordered->get<std::string>(), request, *peer);
    }
    ++counters_.malformed;
    return error_value("not a request; ask {\"get\": \"help\"}");
}

StatusServer::Value StatusServer::get(const std::string& name, const Peer& peer) {
    if (!options_.may_get(peer)) {
        ++counters_.refused;
        return error_value("permission denied for uid " + std::to_string(peer.uid));
    }
    const auto getter = getters_.find(name);
    if (name != "help" && getter == getters_.end()) {
        ++counters_.malformed;
        return error_value("unknown question '" + name + "'; ask {\"get\": \"help\"}");
    }
    try {
        return {{"get", name}, {"value", name == "help" ? help() : getter->second()}};
    } catch (const Value::exception& error) {
        return error_value(error.what());
    }
}

StatusServer::Value StatusServer::act(const std::string& name, const Value& request,
                                      const Peer& peer) {
    if (!options_.may_do(peer)) {
        ++counters_.refused;
        return error_value("permission denied for uid " + std::to_string(peer.uid));
    }
    const auto doer = doers_.find(name);
    if (doer == doers_.end()) {
        ++counters_.malformed;
        return error_value("unknown command '" + name + "'; ask {\"get\": \"help\"}");
    }
    try {
        const auto done = doer->second(request.value("value", Value()));
        if (!done) return error_value(done.error());
        return {{"do", name}, {"value", *done}};
    } catch (const Value::exception& error) {
        return error_value(error.what());
    }
}

StatusServer::Value StatusServer::help() const {
    Value gets = Value::array({"help"});
    for (const auto& [name, getter] : getters_) {
        gets.push_back(name);
    }
    Value commands = Value::array();
    for (const auto& [name, doer] : doers_) {
        commands.push_back(name);
    }
    return {{"get", gets}, {"do", commands}};
}

}  // namespace ipc

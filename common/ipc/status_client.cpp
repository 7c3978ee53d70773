#include "common/ipc/status_client.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "common/ipc/zmq_socket.hpp"
#include "common/os/unique_fd.hpp"

namespace ipc {
namespace {

auto error(StatusError::Cause cause, std::string text) {
    return base::fail(StatusError{.cause = cause, .text = std::move(text)});
}

// libzmq connects in the background and retries for ever; a plain connect says at once what is
// wrong.
base::Expected<void, StatusError> probe(const std::string& path) {
    using Cause = StatusError::Cause;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path))
        return error(Cause::Failed, "path of the socket is too long: " + path);
    std::memcpy(static_cast<void*>(address.sun_path), path.data(), path.size());
    const os::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.is_open()) return error(Cause::Failed, std::string("socket: ") + std::strerror(errno));
    // The socket API takes every address type as sockaddr.
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0)
        return {};
    switch (errno) {
        case ENOENT:
            return error(Cause::NotRunning, "not running (no socket " + path + ")");
        case ECONNREFUSED:
            return error(Cause::NotRunning, "not running (nobody listens at " + path + ")");
        case EACCES:
        case EPERM:
            return error(Cause::NoPermission, "no permission to connect to " + path);
        case EAGAIN:
            return error(Cause::NoAnswer, "too busy to accept a connection at " + path);
        default:
            return error(Cause::Failed, "connect to " + path + ": " + std::strerror(errno));
    }
}

}  // namespace

base::Expected<nlohmann::json, StatusError> answer_value(const std::string& path,
                                                         const std::string& text) {
    using Cause = StatusError::Cause;
    const auto answer = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!answer.is_object())
        return error(Cause::Failed, "answer of " + path + " is no JSON object");
    const auto refusal = answer.find("error");
    if (refusal != answer.end()) {
        const std::string why =
            refusal->is_string() ? refusal->get<std::string>() : refusal->dump();
        const bool is_permission = why.starts_with("permission denied");
        return error(is_permission ? Cause::NoPermission : Cause::Refused, path + ": " + why);
    }
    const auto value = answer.find("value");
    if (value == answer.end()) return error(Cause::Failed, "answer of " + path + " has no value");
    return *value;
}

base::Expected<nlohmann::json, StatusError> ask_status(const std::string& path,
                                                       const nlohmann::json& request,
                                                       base::Duration timeout) {
    using Cause = StatusError::Cause;
    if (auto probed = probe(path); !probed) return base::fail(probed.error());

    // Answers of a large cluster are long; it is our own daemon that writes them.
    constexpr std::int64_t kAnswerBytesMax = std::int64_t{64} << 20u;
    auto socket =
        ZmqSocket::create(ZmqSocket::Kind::Dealer, {.queued_max = 4, .bytes_max = kAnswerBytesMax});
    if (!socket) return error(Cause::Failed, socket.error().text());
    if (auto connected = socket->connect(path); !connected)
        return error(Cause::Failed, connected.error().text());
    const auto sent = socket->send({request.dump()});
    if (!sent || !*sent) return error(Cause::Failed, "cannot send to " + path);
    const auto received = socket->receive(timeout);
    if (!received) return error(Cause::Failed, received.error().text());
    if (!received->has_value()) return error(Cause::NoAnswer, "no answer from " + path);
    return answer_value(path, (*received)->frames.back());
}

}  // namespace ipc

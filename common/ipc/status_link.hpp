// Asks a daemon's status socket from within a loop, without waiting: one daemon asks another. One
// connection, kept; questions in the order of asking.
#pragma once

#include <deque>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "common/base/instant.hpp"
#include "common/ipc/status_client.hpp"
#include "common/ipc/zmq_socket.hpp"
#include "common/os/event_loop.hpp"

namespace ipc {

class StatusLink {
  public:
    using Answer = base::Expected<nlohmann::json, StatusError>;
    using Callback = std::function<void(Answer)>;

    // Questions that wait at most; more are answered with Cause::Failed at once.
    static constexpr std::size_t kQuestionsMax = 64;

    // `path` is absolute. The daemon need not be there yet. `loop` outlives it.
    StatusLink(os::EventLoop& loop, std::string path);
    ~StatusLink();
    StatusLink(const StatusLink&) = delete;
    StatusLink& operator=(const StatusLink&) = delete;

    // Calls back in a later turn with the "value" of the answer, or why there is none: once, within
    // `timeout`. An answer that comes late takes the connection with it, and with it all questions
    // that were asked after it.
    void ask(const nlohmann::json& request, base::Duration timeout, Callback callback);

  private:
    // A status server drops what it cannot queue for us, and then every later answer would be taken
    // for that of the question before: so few wait there that it never has to.
    static constexpr std::size_t kAskedMax = kStatusQueuedMax / 2;

    struct Question {
        base::Instant deadline{};
        std::string text;  // Until it is sent.
        Callback callback;
    };
    os::Result<void> connect();
    void disconnect();
    void send_waiting();
    void read();
    void fail_all(StatusError::Cause cause, const std::string& why);

    os::EventLoop& loop_;
    std::string path_;
    std::optional<ZmqSocket> socket_;
    int descriptor_ = -1;
    std::deque<Question> questions_;
    std::size_t asked_ = 0;  // Of them, from the front: sent.
    // Turns that were put off hold this; when it is gone, so are we.
    std::shared_ptr<StatusLink*> alive_;
};

}  // namespace ipc

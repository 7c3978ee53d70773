// The status socket of a daemon: JSON questions in, JSON answers out, on a ZeroMQ ROUTER socket
// that any ZeroMQ program can ask (REQ or DEALER). One request is one frame:
//
//     {"get": "status"}                  -> {"daemon": "ringd", "pid": 1, "get": "status", "value":
//     …}
//     {"do": "debug", "value": true}     -> {"daemon": "ringd", "pid": 1, "do": "debug", "value":
//     …} anything else                      -> {"daemon": "ringd", "pid": 1, "error": "…"}
//
// {"get": "help"} lists what can be asked. Reading and doing have their own permission rules.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "common/base/result.hpp"
#include "common/ipc/zmq_socket.hpp"
#include "common/os/event_loop.hpp"

namespace ipc {

// Largest request. Requests are one short object.
inline constexpr std::int64_t kStatusRequestBytesMax = 4096;

class StatusServer {
  public:
    using Value = nlohmann::json;
    using Getter = std::function<Value()>;
    // Gives the value of the answer, or the text of an error that the caller made.
    using Doer = std::function<base::Expected<Value, std::string>(const Value& argument)>;
    using Rule = std::function<bool(const Peer&)>;

    struct Options {
        std::string daemon;           // Named in each answer.
        std::string path;             // Where the socket is, absolute.
        std::optional<int> listener;  // Handed down, bound to `path`; else the path is made.
        Rule may_get;                 // Default: uid 0, gid 0 and the daemon's own uid.
        Rule may_do;                  // Default: uid 0 and the daemon's own uid.
    };

    // Listens, and answers in `loop`, which must outlive it.
    static os::Result<std::unique_ptr<StatusServer>> create(os::EventLoop& loop, Options options);
    ~StatusServer();
    StatusServer(const StatusServer&) = delete;
    StatusServer& operator=(const StatusServer&) = delete;

    // What {"get": name} and {"do": name} call, each in a turn of the loop.
    void on_get(std::string name, Getter getter) { getters_[std::move(name)] = std::move(getter); }
    void on_do(std::string name, Doer doer) { doers_[std::move(name)] = std::move(doer); }

    struct Counters {
        std::uint64_t requests = 0;
        std::uint64_t refused = 0;    // No permission.
        std::uint64_t malformed = 0;  // No JSON, or not one of the questions.
        std::uint64_t dropped = 0;    // Answers to a client that reads nothing, or is gone.
    };
    [[nodiscard]] const Counters& counters() const { return counters_; }

  private:
    StatusServer(os::EventLoop& loop, Options options, ZmqSocket socket);
    void drain();
    void answer(ZmqMessage request);
    Value reply_to(const std::string& text, const std::optional<Peer>& peer);
    Value get(const std::string& name, const Peer& peer);
    Value act(const std::string& name, const Value& request, const Peer& peer);
    [[nodiscard]] Value help() const;

    os::EventLoop& loop_;
    Options options_;
    ZmqSocket socket_;
    int descriptor_ = -1;
    std::map<std::string, Getter> getters_;
    std::map<std::string, Doer> doers_;
    Counters counters_;
    // Turns that were put off hold this; when it is gone, so are we.
    std::shared_ptr<StatusServer*> alive_;
};

}  // namespace ipc

// A daemon's part in a reload: it gets the new configuration on its status socket, says whether it
// can change to it, and changes when told so.
//
//     {"do": "prepare", "value": {"size": N, "offset": 0, "part": "…"}}   in parts, see below
//     {"do": "commit",  "value": {"prepared": ID}}                        takes effect
//     {"do": "abandon"}                                                   as if it had never been
//     {"do": "reopen_log"}                                                after rotation
//     {"get": "configuration"}                                            what is in force
//
// The parts together are a JSON object: {"file", "text", "addresses": {name: [address, …]}, "uids",
// "gids"}. Names were resolved by who asks: a daemon's loop waits for no resolver.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "common/config/reload_rules.hpp"
#include "common/daemon/start.hpp"
#include "common/ipc/status_server.hpp"

namespace daemon_start {

// What fits a request of the status socket with all that is around it.
inline constexpr std::size_t kPartBytesMax = 3000;
// A file of full size with its escapes, and the addresses of as many nodes as there can be.
inline constexpr std::size_t kBodyBytesMax = std::size_t{4} << 20u;

// {name: {"type": "u32", "value": 3000}, …}
[[nodiscard]] nlohmann::json keys_json(const config::Keys& keys);

// The object for `loaded`, as ASCII: it may be cut anywhere.
[[nodiscard]] std::string reload_body(const config::Loaded& loaded);
// The values of the requests "prepare" that carry it, in order.
[[nodiscard]] std::vector<nlohmann::json> reload_parts(const std::string& body);

class Reload {
  public:
    using Prepare = std::function<base::Expected<void, std::string>(const config::Loaded& next)>;
    struct Hooks {
        Prepare prepare;                // Makes sure that commit can't fail. May be empty.
        std::function<void()> abandon;  // Takes back what prepare did. May be empty.
        std::function<void()> commit;   // started.loaded is the new one; told what to do about it.
    };

    // `started` outlives it, and has the configuration in force.
    Reload(Started& started, Hooks hooks) : started_(started), hooks_(std::move(hooks)) {}

    void serve(ipc::StatusServer& status);

    using Answer = base::Expected<nlohmann::json, std::string>;
    [[nodiscard]] Answer prepare(const nlohmann::json& value);
    [[nodiscard]] Answer commit(const nlohmann::json& value);
    [[nodiscard]] Answer abandon();
    [[nodiscard]] Answer reopen_log();
    [[nodiscard]] nlohmann::json configuration() const;

  private:
    [[nodiscard]] Answer judge();
    [[nodiscard]] base::Expected<config::Loaded, std::string> load_body() const;
    void drop();

    Started& started_;
    Hooks hooks_;
    std::string body_;  // What has come of it.
    std::uint64_t prepared_id_ = 0;
    std::optional<config::Loaded> prepared_;
};

}  // namespace daemon_start

// Reads the configuration file beside the loop, because names are resolved and users looked up,
// which may take seconds.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "common/config/load.hpp"
#include "common/os/event_loop.hpp"

namespace cmapd {

class ConfigReader {
  public:
    // The file's values, or all that is wrong with it, a line each.
    using Result = base::Expected<config::Loaded, std::string>;
    using Callback = std::function<void(Result)>;

    static os::Result<std::unique_ptr<ConfigReader>> create(os::EventLoop& loop);
    ~ConfigReader();
    ConfigReader(const ConfigReader&) = delete;
    ConfigReader& operator=(const ConfigReader&) = delete;

    // Calls back in a turn of the loop. A read before it that is not done is forgotten.
    void read(const std::string& file, base::NodeId self, Callback callback);
    void forget() { callback_ = nullptr; }

  private:
    // What the thread and we share; the thread may outlive us by a resolver's time-out.
    struct Shared {
        std::mutex mutex;
        std::optional<Result> result;
        std::uint64_t number = 0;  // Of the read that `result` is of.
        os::UniqueFd wake;
    };
    explicit ConfigReader(os::EventLoop& loop) : loop_(loop), shared_(std::make_shared<Shared>()) {}
    void take();

    os::EventLoop& loop_;
    std::shared_ptr<Shared> shared_;
    std::uint64_t number_ = 0;
    Callback callback_;
};

}  // namespace cmapd

#include "cmapd/driver/config_reader.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

namespace cmapd {
namespace {

ConfigReader::Result read_file(const std::string& file, base::NodeId self) {
    auto host = config::this_host();
    if (!host) return base::fail(host.error().text());
    config::LoadOptions options;
    options.node_id = self;
    options.host = std::move(*host);
    auto loaded = config::load(file, options);
    if (loaded) return std::move(*loaded);
    std::string lines;
    for (const config::Problem& problem : loaded.error()) {
        if (problem.severity == config::Problem::Severity::Error)
            lines += (lines.empty() ? "" : "\n") + problem.line();
    }
    return base::fail(std::move(lines));
}

}  // namespace

os::Result<std::unique_ptr<ConfigReader>> ConfigReader::create(os::EventLoop& loop) {
    std::unique_ptr<ConfigReader> reader(new ConfigReader(loop));
    reader->shared_->wake = os::UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!reader->shared_->wake.is_open()) return os::last_error("eventfd");
    auto added = loop.add(reader->shared_->wake.get(), EPOLLIN,
                          [raw = reader.get()](std::uint32_t) { raw->take(); });
    if (!added) return base::fail(added.error());
    return reader;
}

ConfigReader::~ConfigReader() {
    loop_.remove(shared_->wake.get());
}

void ConfigReader::read(const std::string& file, base::NodeId self, Callback callback) {
    callback_ = std::move(callback);
    // Detached: it holds all that it touches, and a resolver cannot be interrupted.
    std::thread([shared = shared_, number = ++number_, file, self] {
        Result result = read_file(file, self);
        const std::lock_guard lock(shared->mutex);
        if (number < shared->number) return;  // A later one was faster.
        shared->number = number;
        shared->result = std::move(result);
        const std::uint64_t one = 1;
        // The counter of an eventfd is full after 2^64 wake-ups only.
        (void)!::write(shared->wake.get(), &one, sizeof(one));
    }).detach();
}

void ConfigReader::take() {
    std::uint64_t count = 0;
    (void)!::read(shared_->wake.get(), &count, sizeof(count));  // EAGAIN: taken already.
    std::optional<Result> result;
    std::uint64_t number = 0;
    {
        const std::lock_guard lock(shared_->mutex);
        result = std::exchange(shared_->result, std::nullopt);
        number = shared_->number;
    }
    if (!result || number != number_ || !callback_) return;
    const Callback callback = std::exchange(callback_, nullptr);
    callback(std::move(*result));
}

}  // namespace cmapd

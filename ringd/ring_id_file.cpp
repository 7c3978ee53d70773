#include "ringd/ring_id_file.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

#include "common/base/invariant.hpp"
#include "common/os/durable_file.hpp"

namespace ringd {
namespace {

// One line of text, so that an administrator can read it: the words, the version, seq and
// representative, and a check over both that a torn or edited file fails.
constexpr const char* kFormat = "halo-ring-id 1 %" PRIu64 " %" PRIu32 " %" PRIu64 "\n";
constexpr std::size_t kFileBytesMax = 128;

std::uint64_t check_of(base::RingId ring) {
    return (ring.seq * 0x9e3779b97f4a7c15u) ^ (ring.representative.value() * 0xbf58476d1ce4e5b9u);
}

std::string text_of(base::RingId ring) {
    std::array<char, kFileBytesMax> text{};
    const int length = std::snprintf(text.data(), text.size(), kFormat, ring.seq,
                                     ring.representative.value(), check_of(ring));
    INVARIANT(length > 0);
    return {text.data(), static_cast<std::size_t>(length)};
}

}  // namespace

os::Result<std::optional<base::RingId>> load_ring_id(const std::filesystem::path& path) {
    const os::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.is_open()) {
        if (errno == ENOENT) return std::nullopt;
        return os::last_error("open " + path.string());
    }
    std::array<char, kFileBytesMax + 1> text{};
    const ssize_t length = ::read(file.get(), text.data(), kFileBytesMax);
    if (length < 0) return os::last_error("read " + path.string());

    base::RingId ring;
    std::uint32_t representative = 0;
    std::uint64_t check = 0;
    const int fields = std::sscanf(text.data(), kFormat, &ring.seq, &representative, &check);
    ring.representative = base::NodeId{representative};
    const std::string_view read(text.data(), static_cast<std::size_t>(length));
    if (fields != 3 || check != check_of(ring) || read != text_of(ring)) {
        return base::fail(os::Error{.what = path.string() + ": not a ring id file, or damaged"});
    }
    return ring;
}

os::Result<void> store_ring_id(const std::filesystem::path& path, base::RingId ring) {
    const std::string text = text_of(ring);
    return os::write_durably(path.string(), std::as_bytes(std::span(text)), 0600,
                             os::Existing::Replace);
}

base::RingId ring_id_without_file(std::uint64_t unix_seconds) {
    return {.seq = unix_seconds, .representative = base::kNoNode};
}

RingIdWriter::RingIdWriter(std::filesystem::path path)
    : path_(std::move(path)), done_event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    // Signals are the loop's business: the thread starts with all of them blocked.
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    (void)pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

RingIdWriter::~RingIdWriter() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void RingIdWriter::store(base::RingId ring) {
    {
        const std::lock_guard lock(mutex_);
        wanted_ = ring;
    }
    wake_.notify_one();
}

std::optional<RingIdWriter::Outcome> RingIdWriter::take() {
    const std::lock_guard lock(mutex_);
    if (done_.empty()) {
        std::uint64_t count = 0;
        // Nothing to read is fine: the event was taken with an earlier outcome.
        (void)!::read(done_event_.get(), &count, sizeof(count));
        return std::nullopt;
    }
    Outcome outcome = std::move(done_.front());
    done_.erase(done_.begin());
    return outcome;
}

void RingIdWriter::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [this] { return stopping_ || wanted_.has_value(); });
        if (!wanted_) return;  // Stopping, and nothing is owed.
        const base::RingId ring = *wanted_;
        wanted_.reset();
        lock.unlock();
        Outcome outcome{.ring = ring, .result = store_ring_id(path_, ring)};
        lock.lock();
        done_.push_back(std::move(outcome));
        const std::uint64_t one = 1;
        // An eventfd refuses only at 2^64 - 2.
        (void)!::write(done_event_.get(), &one, sizeof(one));
    }
}

}  // namespace ringd

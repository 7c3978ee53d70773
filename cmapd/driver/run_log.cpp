#include "cmapd/driver/run_log.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "common/base/invariant.hpp"
#include "common/os/unique_fd.hpp"

namespace cmapd {
namespace {

// "HaloRun" and the version of what follows: u32 length and the record, again and again, up to a
// length of 0. Lengths stand at multiples of 8.
constexpr std::uint64_t kMagic = 0x016e75526f6c6148;
constexpr std::size_t kHeadBytes = sizeof(kMagic);
constexpr std::size_t kLengthBytes = 8;

std::size_t padded(std::size_t bytes) {
    return (bytes + kLengthBytes - 1) / kLengthBytes * kLengthBytes;
}

}  // namespace

os::Result<RunLog> RunLog::open(const std::string& path) {
    const os::UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.is_open()) return base::fail(os::Error{.what = "open " + path, .code = errno});
    // A page that is written first, and can't be had, would end us.
    if (const int error = ::posix_fallocate(file.get(), 0, kBytes); error != 0)
        return base::fail(os::Error{.what = "make room for " + path, .code = error});
    void* memory =
        ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file.get(), 0);
    if (memory == MAP_FAILED) return base::fail(os::Error{.what = "map " + path, .code = errno});
    RunLog log(static_cast<std::byte*>(memory));
    std::uint64_t magic = 0;
    std::memcpy(&magic, log.memory_, sizeof(magic));
    if (magic != kMagic) {
        log.clear();
        std::memcpy(log.memory_, &kMagic, sizeof(kMagic));
    }
    log.end_ = kHeadBytes;
    while (const std::size_t length = log.length_at(log.end_)) {
        log.end_ += kLengthBytes + padded(length);
    }
    return log;
}

RunLog::RunLog(RunLog&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), end_(other.end_) {}
RunLog& RunLog::operator=(RunLog&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(end_, other.end_);
    return *this;
}
RunLog::~RunLog() {
    if (memory_ != nullptr) (void)::munmap(memory_, kBytes);
}

// 0: there is none; also where it can't be one.
std::size_t RunLog::length_at(std::size_t at) const {
    if (at + kLengthBytes > kBytes) return 0;
    std::uint64_t length = 0;
    std::memcpy(&length, memory_ + at, sizeof(length));
    return length <= kBytes - kLengthBytes - at ? length : 0;
}

// One store, after everything that was written before: a kill comes before it or after it.
void RunLog::set_length(std::size_t at, std::size_t length) {
    auto* place = reinterpret_cast<std::uint64_t*>(memory_ + at);
    std::atomic_ref(*place).store(length, std::memory_order_release);
}

bool RunLog::append(std::span<const std::byte> record) {
    INVARIANT(!record.empty());
    const std::size_t next = end_ + kLengthBytes + padded(record.size());
    if (next > kBytes) return false;
    std::memcpy(memory_ + end_ + kLengthBytes, record.data(), record.size());
    if (next + kLengthBytes <= kBytes) set_length(next, 0);
    set_length(end_, record.size());
    end_ = next;
    return true;
}

void RunLog::each(const std::function<void(std::span<const std::byte>)>& take) const {
    std::size_t at = kHeadBytes;
    while (const std::size_t length = length_at(at)) {
        take({memory_ + at + kLengthBytes, length});
        at += kLengthBytes + padded(length);
    }
}

bool RunLog::is_empty() const {
    return length_at(kHeadBytes) == 0;
}

void RunLog::clear() {
    set_length(kHeadBytes, 0);
    end_ = kHeadBytes;
}

}  // namespace cmapd

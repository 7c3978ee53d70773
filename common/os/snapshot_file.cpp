#include "common/os/snapshot_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "common/base/invariant.hpp"
#include "common/base/pieces.hpp"

namespace os {
namespace {

constexpr std::uint64_t kMagic = 0x31647067'706f6c48;  // Changes with the layout.
constexpr std::uint32_t kNoSlot = 2;
constexpr std::size_t kHeaderBytes = 4096;
constexpr std::size_t kSlotBytesMin = std::size_t{256} << 10u;

// Of the two slots `current` names the one that counts. The other one is free to be changed.
struct Header {
    struct Slot {
        std::uint64_t offset = 0;
        std::uint64_t capacity = 0;
        std::uint64_t length = 0;
    };
    std::uint64_t magic = kMagic;
    std::uint32_t starts = 0;  // Since a life last lived() or the file was made.
    std::atomic<std::uint32_t> current{kNoSlot};
    Slot slots[2];
};
static_assert(sizeof(Header) <= kHeaderBytes);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

Header& header_of(std::byte* memory) {
    return *std::launder(reinterpret_cast<Header*>(memory));
}

// What a former life wrote is believed no further than this.
bool is_sane(const Header& header, std::size_t size) {
    const std::uint32_t current = header.current.load();
    if (header.magic != kMagic || current > kNoSlot) return false;
    for (const Header::Slot& slot : header.slots) {
        if (slot.length > slot.capacity || slot.offset > size || slot.capacity > size - slot.offset)
            return false;
    }
    return true;
}

}  // namespace

SnapshotFile::SnapshotFile(SnapshotFile&& other) noexcept
    : file_(std::move(other.file_)),
      memory_(std::exchange(other.memory_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      was_foreign_(other.was_foreign_) {}

SnapshotFile::~SnapshotFile() {
    if (memory_ != nullptr) (void)::munmap(memory_, size_);
}

os::Result<SnapshotFile> SnapshotFile::open(const std::string& path) {
    os::UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.is_open()) return os::last_error("open " + path);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return os::last_error("lock " + path);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return os::last_error("stat " + path);
    const auto found = static_cast<std::size_t>(status.st_size);
    const std::size_t size = std::max(found, kHeaderBytes);
    if (size > found && ::ftruncate(file.get(), static_cast<off_t>(size)) != 0)
        return os::last_error("extend " + path);
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (memory == MAP_FAILED) return os::last_error("map " + path);
    SnapshotFile opened(std::move(file), static_cast<std::byte*>(memory), size);
    if (found < kHeaderBytes || !is_sane(header_of(opened.memory_), size)) {
        new (opened.memory_) Header;
        opened.was_foreign_ = found > 0;
    }
    ++header_of(opened.memory_).starts;
    return opened;
}

std::optional<base::Buffer> SnapshotFile::load() const {
    const Header& header = header_of(memory_);
    const std::uint32_t current = header.current.load(std::memory_order_acquire);
    if (current == kNoSlot || header.starts > kStartsMax) return std::nullopt;
    const Header::Slot& slot = header.slots[current];
    return base::Buffer::copy_of({memory_ + slot.offset, slot.length});
}

const char* SnapshotFile::refusal() const {
    if (was_foreign_) return "the file is damaged or of another version";
    const Header& header = header_of(memory_);
    if (header.current.load() == kNoSlot || header.starts <= kStartsMax) return nullptr;
    return "too many lives ended with it before they served anybody";
}

os::Result<void> SnapshotFile::grow(std::size_t size) {
    if (::ftruncate(file_.get(), static_cast<off_t>(size)) != 0)
        return os::last_error("extend the snapshot file");
    void* memory = ::mremap(memory_, size_, size, MREMAP_MAYMOVE);
    if (memory == MAP_FAILED) return os::last_error("map the snapshot file");
    memory_ = static_cast<std::byte*>(memory);
    size_ = size;
    return {};
}

os::Result<void> SnapshotFile::store(std::span<const base::Buffer> pieces) {
    const std::size_t bytes = base::bytes_of(pieces);
    const std::uint32_t current = header_of(memory_).current.load();
    const std::uint32_t next = current == 0 ? 1 : 0;
    if (header_of(memory_).slots[next].capacity < bytes) {
        // At the end; what the slot had before stays unused: at most as much again.
        const std::size_t capacity = std::max(kSlotBytesMin, 2 * bytes);
        const std::size_t offset = size_;
        if (auto grown = grow(size_ + capacity); !grown) return grown;
        header_of(memory_).slots[next] = {.offset = offset, .capacity = capacity, .length = 0};
    }
    Header& header = header_of(memory_);
    Header::Slot& slot = header.slots[next];
    base::copy_pieces(pieces, {memory_ + slot.offset, slot.capacity});
    slot.length = bytes;
    header.current.store(next, std::memory_order_release);
    return {};
}

void SnapshotFile::lived() {
    header_of(memory_).starts = 0;
}

}  // namespace os

#include "ringd/lasting_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "ringd/transport/channel_memory.hpp"

namespace ringd {
namespace {

// In whole pages: the count of lives, then the channel's part, then the journal.
constexpr std::size_t kChannelAt = std::size_t{4} << 10u;
constexpr std::size_t kJournalAt = std::size_t{36} << 10u;
static_assert(transport::ChannelMemory::kBytes <= kJournalAt - kChannelAt);

constexpr std::size_t kBytes = kJournalAt + LastingMemory::kJournalBytes;

// Nobody can make a page go away under us.
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

os::Result<std::byte*> map(int fd) {
    void* memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) return os::last_error("map the memory file");
    // What the cluster says has no place in a dump.
    (void)::madvise(memory, kBytes, MADV_DONTDUMP);  // Old kernels lack it.
    return static_cast<std::byte*>(memory);
}

}  // namespace

os::Result<LastingMemory> LastingMemory::create() {
    os::UniqueFd file(::memfd_create("ringd", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file.is_open()) return os::last_error("make a memory file");
    if (::ftruncate(file.get(), static_cast<off_t>(kBytes)) != 0)
        return os::last_error("extend the memory file");
    if (::fcntl(file.get(), F_ADD_SEALS, kSeals) != 0)
        return os::last_error("seal the memory file");
    const auto memory = map(file.get());
    if (!memory) return base::fail(memory.error());
    return LastingMemory(std::move(file), *memory);
}

os::Result<LastingMemory> LastingMemory::adopt(os::UniqueFd file) {
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return os::last_error("look at the memory file");
    const int seals = ::fcntl(file.get(), F_GET_SEALS);
    if (status.st_size != static_cast<off_t>(kBytes) || seals < 0 || (seals & kSeals) != kSeals)
        return base::fail(os::Error{.what = "the memory file is of another kind"});
    const auto memory = map(file.get());
    if (!memory) return base::fail(memory.error());
    return LastingMemory(std::move(file), *memory);
}

LastingMemory::LastingMemory(LastingMemory&& other) noexcept
    : file_(std::move(other.file_)), memory_(std::exchange(other.memory_, nullptr)) {}

LastingMemory::~LastingMemory() {
    if (memory_ != nullptr) (void)::munmap(memory_, kBytes);
}

std::uint64_t& LastingMemory::lives() const {
    return *reinterpret_cast<std::uint64_t*>(memory_);
}

std::span<std::byte> LastingMemory::channel() const {
    return {memory_ + kChannelAt, transport::ChannelMemory::kBytes};
}

std::span<std::byte> LastingMemory::journal() const {
    return {memory_ + kJournalAt, kJournalBytes};
}

}  // namespace ringd

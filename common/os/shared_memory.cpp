#include "common/os/shared_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace os {
namespace {

// F_SEAL_FUTURE_WRITE: all but the mapping that is there already. It also forbids punching holes.
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

// Made ready in one call instead of by a fault each.
constexpr std::size_t kPreparedBytes = std::size_t{256} << 10u;

}  // namespace

Mapping::~Mapping() {
    if (!bytes_.empty()) (void)::munmap(bytes_.data(), bytes_.size());
}

Result<SharedMemory> SharedMemory::create(const char* name, std::size_t bytes) {
    UniqueFd file(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file.is_open()) return last_error("make a memory file");
    if (::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0)
        return last_error("extend the memory file");
    void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (memory == MAP_FAILED) return last_error("map the memory file");
    SharedMemory made(std::move(file), Mapping({static_cast<std::byte*>(memory), bytes}));
    if (::fcntl(made.file_.get(), F_ADD_SEALS, kSeals) != 0)
        return last_error("seal the memory file");
    // What groups say has no place in a dump.
    (void)::madvise(memory, bytes, MADV_DONTDUMP);
    return made;
}

// Kernels before 5.14 don't know it: then each page costs its fault.
void SharedMemory::prepare(std::size_t end) {
    const std::span<std::byte> all = bytes();
    while (prepared_bytes_ < std::min(end, all.size())) {
        const std::size_t count = std::min(kPreparedBytes, all.size() - prepared_bytes_);
        (void)::madvise(all.data() + prepared_bytes_, count, MADV_POPULATE_WRITE);
        prepared_bytes_ += count;
    }
}

std::optional<ForeignMemory> ForeignMemory::map(const UniqueFd& file) {
    if (!file.is_open()) return std::nullopt;
    struct stat status {};
    const int seals = ::fcntl(file.get(), F_GET_SEALS);
    // Else a page may go away while it is read.
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) return std::nullopt;
    if (::fstat(file.get(), &status) != 0 || status.st_size <= 0) return std::nullopt;
    const auto size = static_cast<std::size_t>(status.st_size);
    void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
    if (memory == MAP_FAILED) return std::nullopt;
    ForeignMemory mapped(Mapping({static_cast<std::byte*>(memory), size}));
    // It fails on no mapping of this kind; without it a child has the pages too.
    (void)::madvise(memory, size, MADV_DONTFORK);
    return mapped;
}

}  // namespace os

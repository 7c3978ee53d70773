#include "libclient/src/ipc/shared_area.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace client {

std::optional<SharedArea> SharedArea::map(const os::UniqueFd& file) {
    if (!file.is_open()) return std::nullopt;
    struct stat status {};
    const int seals = ::fcntl(file.get(), F_GET_SEALS);
    // Else a page may go away while it is read.
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) return std::nullopt;
    if (::fstat(file.get(), &status) != 0 || status.st_size <= 0) return std::nullopt;
    const auto size = static_cast<std::size_t>(status.st_size);
    void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
    if (memory == MAP_FAILED) return std::nullopt;
    // It fails on no mapping of this kind; without it a child has the pages too.
    (void)::madvise(memory, size, MADV_DONTFORK);
    return SharedArea({static_cast<const std::byte*>(memory), size});
}

SharedArea::~SharedArea() {
    // Not by the span: munmap takes no const.
    if (!bytes_.empty()) (void)::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace client

#include "quorumd/driver/memory.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <span>

#include "common/os/durable_file.hpp"

namespace quorumd {
namespace {

constexpr std::size_t kBootBytes = 36;

std::string boot_id() {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string id;
    std::getline(file, id);
    id.resize(kBootBytes);
    return id;
}

}  // namespace

Memory::Memory(std::optional<os::SnapshotFile> snapshots, std::string durable_path)
    : snapshots_(std::move(snapshots)), durable_path_(std::move(durable_path)), boot_(boot_id()) {}

std::optional<base::Buffer> Memory::load() const {
    if (!snapshots_) return std::nullopt;
    const auto stored = snapshots_->load();
    if (!stored || stored->size() < kBootBytes) return std::nullopt;
    const auto boot = std::as_bytes(std::span(boot_));
    if (!std::ranges::equal(boot, stored->bytes().first(kBootBytes))) return std::nullopt;
    return stored->slice(kBootBytes);
}

const char* Memory::refusal() const {
    return snapshots_ ? snapshots_->refusal() : nullptr;
}

os::Result<void> Memory::keep(const base::Buffer& snapshot) {
    if (!snapshots_) return {};
    const base::Buffer boot = base::Buffer::copy_of(std::as_bytes(std::span(boot_)));
    auto stored = snapshots_->store(std::array{boot, snapshot});
    if (!stored) snapshots_.reset();
    return stored;
}

void Memory::lived() {
    if (snapshots_) snapshots_->lived();
}

base::Buffer Memory::load_durable() const {
    std::ifstream file(durable_path_, std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(file)),
                              std::istreambuf_iterator<char>());
    return base::Buffer::copy_of(std::as_bytes(std::span(content)));
}

os::Result<void> Memory::store_durable(const base::Buffer& durable) const {
    return os::write_durably(durable_path_, durable.bytes(), 0600, os::Existing::Replace);
}

}  // namespace quorumd

// The cluster's shared secret: a file of random bytes that is the same on all nodes.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "common/os/durable_file.hpp"
#include "common/os/error.hpp"

namespace config {

// The sizes that Corosync's authkey may have, so that an existing one can be used.
inline constexpr std::size_t kKeyBytesMin = 128;
inline constexpr std::size_t kKeyBytesMax = 4096;
inline constexpr std::size_t kKeyBytesGenerated = 256;

// Key material. Wiped from memory when it goes away; it does not copy by accident.
class Key {
  public:
    // Needs kKeyBytesMin to kKeyBytesMax bytes; check with is_key_size before.
    explicit Key(std::vector<std::byte> bytes);
    Key(Key&& other) noexcept;
    Key& operator=(Key&& other) noexcept;
    Key(const Key&) = delete;
    Key& operator=(const Key&) = delete;
    ~Key();

    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

    // 16 hexadecimal digits that tell two keys apart and say nothing about either: for people who
    // compare the nodes of a cluster. The first 8 bytes of SHA-256 over "halo key" and the bytes.
    [[nodiscard]] std::string fingerprint() const;

  private:
    void wipe();

    std::vector<std::byte> bytes_;
};

[[nodiscard]] constexpr bool is_key_size(std::size_t bytes) {
    return bytes >= kKeyBytesMin && bytes <= kKeyBytesMax;
}

// What the service manager calls the file at `path` when it hands it to a daemon that may not read
// it there (LoadCredential=): /etc/halo/authkey is etc-halo-authkey.
[[nodiscard]] std::string credential_name(const std::string& path);

// Reads the key in the file at `path`, or the credential of that name where the service manager
// gave us one. Errors name the file: it cannot be read; it is no regular file; others than its
// owner may read or write it (credentials of the service manager excepted, which have their own
// protection); its owner is neither root nor we; its size is no key's.
os::Result<Key> read_key(const std::string& path);

// Makes a key of random bytes of the kernel and writes it to `path`, readable by the owner only.
os::Result<Key> generate_key(const std::string& path, os::Existing existing);

}  // namespace config

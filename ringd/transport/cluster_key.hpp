// What is derived from the secret that all nodes of a cluster share (HKDF with SHA-256, RFC 5869).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "ringd/transport/packet_header.hpp"

namespace transport {

// As Corosync's authkey, which may be used unchanged.
inline constexpr std::size_t kKeyBytesMin = 128;
inline constexpr std::size_t kKeyBytesMax = 4096;

// A secret that is overwritten when it goes.
template <std::size_t Size>
class Secret {
  public:
    Secret() = default;
    Secret(const Secret&) = default;
    Secret& operator=(const Secret&) = default;
    ~Secret() { wipe(bytes_); }

    [[nodiscard]] std::span<std::byte, Size> bytes() { return bytes_; }
    [[nodiscard]] std::span<const std::byte, Size> bytes() const { return bytes_; }

  private:
    static void wipe(std::span<std::byte> bytes);

    std::array<std::byte, Size> bytes_{};
};

// What seals the packets of one life of one sender: cipher key and the base of its nonces.
struct SendingKey {
    Secret<32> key;
    Secret<12> nonce_base;
};

enum class KeyError : std::uint8_t {
    WrongLength,  // Not kKeyBytesMin to kKeyBytesMax bytes.
    Library,      // OpenSSL can't derive: HKDF or SHA-256 is not available.
};

// One cluster key, in the form that everything else is derived from; the key itself is not kept.
class ClusterKey {
  public:
    // Of the bytes of a key file. They stay the caller's to wipe.
    static base::Expected<ClusterKey, KeyError> derive(std::span<const std::byte> key_bytes);

    // For Suite::None: clusters of different names stay apart, nothing is secret.
    static base::Expected<ClusterKey, KeyError> public_name(std::span<const std::byte> name);

    // Tells keys apart and says nothing about them; on the wire in clear.
    [[nodiscard]] std::uint32_t id() const { return id_; }

    // Another life or another sender has another key, so that counters may meet. It aborts when
    // OpenSSL fails: derive() proved that it can.
    [[nodiscard]] SendingKey sending_key(Suite suite, base::NodeId sender,
                                         std::uint64_t incarnation) const;

  private:
    static base::Expected<ClusterKey, KeyError> extract(std::span<const std::byte> secret);

    Secret<32> root_;
    std::uint32_t id_ = 0;
};

}  // namespace transport

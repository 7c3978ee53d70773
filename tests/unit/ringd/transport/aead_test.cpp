// The ciphers against a published vector and against each other: nodes whose processors have not
// the same instructions must understand each other.
#include "ringd/transport/aead.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <vector>

#include "common/base/prng.hpp"

using transport::Aead;
using transport::Cipher;
using transport::CipherUse;
using transport::kTagBytes;
using transport::Nonce;
using transport::Suite;

namespace {

using Bytes = std::vector<std::byte>;
using Tag = std::array<std::byte, kTagBytes>;
using Key = std::array<std::byte, 32>;

Bytes of_hex(std::string_view hex) {
    Bytes bytes(hex.size() / 2);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        unsigned value = 0;
        std::from_chars(&hex[2 * i], &hex[2 * i] + 2, value, 16);
        bytes[i] = static_cast<std::byte>(value);
    }
    return bytes;
}

Bytes random_bytes(base::Prng& prng, std::size_t size) {
    Bytes bytes(size);
    for (std::byte& byte : bytes) {
        byte = static_cast<std::byte>(prng.next());
    }
    return bytes;
}

// Test case 16 of McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)".
struct Vector {
    Bytes key = of_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    Bytes nonce = of_hex("cafebabefacedbaddecaf888");
    Bytes header = of_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    Bytes text = of_hex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
    Bytes sealed = of_hex(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662");
    Bytes tag = of_hex("76fc6ece0f4e1768cddf8853bb2d551b");
};

struct Sealed {
    Bytes bytes;
    Tag tag{};
};

Sealed seal(Cipher& cipher, const Nonce& nonce, const Bytes& header, const Bytes& text,
            std::size_t behind = 0) {
    Sealed sealed{.bytes = Bytes(text.size() + behind)};
    cipher.seal(nonce, header, text, sealed.bytes, sealed.tag);
    return sealed;
}

}  // namespace

TEST_CASE("AES-256-GCM gives the published ciphertext and tag") {
    const Vector vector;
    transport::SendingKey key;
    std::ranges::copy(vector.key, key.key.bytes().begin());
    std::ranges::copy(vector.nonce, key.nonce_base.bytes().begin());
    Bytes out(vector.text.size());
    Tag tag{};
    Aead(Suite::Aes256Gcm, key, CipherUse::Seal).seal(0, vector.header, vector.text, out, tag);
    CHECK(out == vector.sealed);
    CHECK(std::ranges::equal(tag, vector.tag));

    Bytes opened(out.size());
    CHECK(Aead(Suite::Aes256Gcm, key, CipherUse::Open).open(0, vector.header, out, tag, opened));
    CHECK(opened == vector.text);
}

TEST_CASE("the wide cipher and OpenSSL's seal alike, and each opens what the other sealed") {
    base::Prng prng(1);
    Key key{};
    std::ranges::copy(random_bytes(prng, key.size()), key.begin());
    const auto wide = transport::make_wide_gcm(key);
    if (wide == nullptr) {
        MESSAGE("this processor has no AES instructions that the library would use");
        return;
    }
    const auto sealing = make_openssl_cipher(Suite::Aes256Gcm, key, CipherUse::Seal);
    const auto opening = make_openssl_cipher(Suite::Aes256Gcm, key, CipherUse::Open);
    for (std::size_t size = 0; size < 9000; size += size < 600 ? 1 : 97) {
        CAPTURE(size);
        Nonce nonce{};
        for (unsigned char& byte : nonce) {
            byte = static_cast<unsigned char>(prng.next());
        }
        const Bytes header = random_bytes(prng, 1 + size % 64);
        const Bytes text = random_bytes(prng, size);
        const std::size_t behind = size % 5;
        const Sealed sealed = seal(*wide, nonce, header, text, behind);
        const Sealed expected = seal(*sealing, nonce, header, text, behind);
        REQUIRE(sealed.bytes == expected.bytes);
        REQUIRE(sealed.tag == expected.tag);

        Bytes opened(sealed.bytes.size());
        REQUIRE(opening->open(nonce, header, sealed.bytes, sealed.tag, opened));
        Bytes opened_wide(sealed.bytes.size());
        REQUIRE(wide->open(nonce, header, sealed.bytes, sealed.tag, opened_wide));
        REQUIRE(opened_wide == opened);
        REQUIRE(std::ranges::equal(std::span(opened).first(size), text));
    }
}

TEST_CASE("the wide cipher refuses a changed bit of header, text, nonce and tag") {
    base::Prng prng(2);
    Key key{};
    std::ranges::copy(random_bytes(prng, key.size()), key.begin());
    const auto wide = transport::make_wide_gcm(key);
    if (wide == nullptr) return;
    const Nonce nonce{1, 2, 3};
    const Bytes header = random_bytes(prng, 32);
    const Sealed sealed = seal(*wide, nonce, header, random_bytes(prng, 1400));
    Bytes out(sealed.bytes.size());
    REQUIRE(wide->open(nonce, header, sealed.bytes, sealed.tag, out));

    const auto flipped = [&](auto bytes) {
        auto& changed = bytes[prng.next() % bytes.size()];
        changed = static_cast<std::remove_reference_t<decltype(changed)>>(
            static_cast<unsigned>(changed) ^ 1u << prng.next() % 8);
        return bytes;
    };
    for (int i = 0; i < 100; ++i) {
        CHECK_FALSE(wide->open(nonce, flipped(header), sealed.bytes, sealed.tag, out));
        CHECK_FALSE(wide->open(nonce, header, flipped(sealed.bytes), sealed.tag, out));
        CHECK_FALSE(wide->open(nonce, header, sealed.bytes, flipped(sealed.tag), out));
        CHECK_FALSE(wide->open(flipped(nonce), header, sealed.bytes, sealed.tag, out));
    }
}

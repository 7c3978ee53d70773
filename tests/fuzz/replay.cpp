// Runs a fuzz target without libFuzzer: over each file of a corpus folder, each of its prefixes and
// each single flipped bit, so that the corpus is a test in every build.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "tests/fuzz/accepted.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

// Of a long input only the front is cut and flipped: that is where the headers are.
constexpr std::size_t kMutatedBytesMax = 2048;

// Whether the target tells what its decoder took; then that is every file of the corpus.
#ifdef HALO_FUZZ_SAYS_ACCEPTED
constexpr bool kSaysAccepted = true;
#else
constexpr bool kSaysAccepted = false;
#endif

std::vector<std::uint8_t> contents_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void run(const std::vector<std::uint8_t>& input, std::size_t length) {
    // A copy of the exact length, so that a sanitizer sees a read past the end.
    const std::vector<std::uint8_t> exact(input.begin(),
                                          input.begin() + static_cast<std::ptrdiff_t>(length));
    (void)LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argc > 0 ? argv[0] : "replay");
        return 2;
    }
    std::size_t files = 0;
    std::size_t refused = 0;
    for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
        std::vector<std::uint8_t> input = contents_of(entry.path());
        fuzz::accepted = false;
        run(input, input.size());
        if (kSaysAccepted && !fuzz::accepted) {
            std::fprintf(stderr, "%s is refused: make it anew for the format of today\n",
                         entry.path().c_str());
            ++refused;
        }
        const std::size_t front = input.size() < kMutatedBytesMax ? input.size() : kMutatedBytesMax;
        for (std::size_t length = 0; length < front; ++length) {
            run(input, length);
        }
        for (std::size_t bit = 0; bit < front * 8; ++bit) {
            const auto mask = static_cast<std::uint8_t>(1u << (bit % 8));
            input[bit / 8] = static_cast<std::uint8_t>(input[bit / 8] ^ mask);
            run(input, input.size());
            input[bit / 8] = static_cast<std::uint8_t>(input[bit / 8] ^ mask);
        }
        ++files;
    }
    std::printf("%zu inputs with all their prefixes and single bit flips\n", files);
    return files == 0 || refused > 0 ? 1 : 0;
}

// Host of tinyODIN's or ODIN's RTL, translated by Yosys (CXXRTL): SPI, AER and a receiver of spikes.
//
// In: MODEL (generated header) and DESIGN (its class) by the compiler's command line; commands on stdin, one a line:
//   S ADDRESS DATA     an SPI write (20 bits each, hexadecimal)
//   R ADDRESS          an SPI read: prints the byte
//   A ADDRESS          an AER event by the four-phase handshake; with --wait idle also until the core is done: prints the cycles until the
//                      acknowledge, until the request's end was acknowledged, and until the core was done, then the neurons that spiked
//   W                  waits until the core is done; prints the neurons that spiked since the last line
//   T                  prints the cycles so far
//   F                  sends what was printed
//   D                  prints all words of the neuron memory, hexadecimal
// Option --latency N: the host's answers (request down, spike acknowledged) come N clock edges after what they answer was to be seen.
// Option --sck N: half a period of SCK is N cycles of CLK; 0: SCK is faster than CLK, and pauses where the chip has to see something.
// Everything is driven between clock edges; a "cycle" is a rising edge of CLK.
#include MODEL
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iostream>
#include <string>
#include <vector>

static cxxrtl_design::DESIGN top;
static cxxrtl::debug_items items;
static uint64_t cycles = 0;
static int latency = 0;
static std::deque<bool> acks, requests; // what the host saw, oldest first
static bool was_requested = false;
static std::vector<unsigned> spikes;

static const cxxrtl::debug_item &item(const std::string &name) {
    auto found = items.table.find(name);
    if (found == items.table.end() || found->second.empty()) {
        fprintf(stderr, "the design has no signal `%s`\n", name.c_str());
        exit(2);
    }
    return found->second[0];
}

static const uint32_t *state, *busy;
static std::vector<const uint32_t *> empties;
static std::vector<uint32_t> wait_states;

static bool done() {
    for (auto e : empties)
        if (!(*e & 1))
            return false;
    return *state == 0 && !(*busy & 1);
}

/// A cycle of CLK. The receiver answers each request of AEROUT. Outputs are read when the clock is low again: `step` after the rising edge
/// has not brought the new state to outputs that are no registers.
static void tick() {
    top.p_CLK.set<bool>(true);
    top.step();
    cycles++;
    top.p_CLK.set<bool>(false);
    top.step();
    bool out = top.p_AEROUT__REQ.get<bool>();
    if (out && !was_requested)
        spikes.push_back(top.p_AEROUT__ADDR.get<uint32_t>());
    was_requested = out;
    requests.push_back(out);
    acks.push_back(top.p_AERIN__ACK.get<bool>());
    while ((int)requests.size() > latency + 1)
        requests.pop_front(), acks.pop_front();
    top.p_AEROUT__ACK.set<bool>(requests.front());
}

/// The acknowledge as the host sees it.
static bool seen() { return acks.front(); }

static void stuck(const char *what) {
    fprintf(stderr, "cycle %llu: still waiting for %s\n", (unsigned long long)cycles, what);
    exit(3);
}

static void event(uint32_t address, bool idle) {
    uint64_t begin = cycles, limit = begin + 1000000;
    top.p_AERIN__ADDR.set<uint32_t>(address);
    top.p_AERIN__REQ.set<bool>(true);
    while (!seen())
        if (tick(), cycles > limit)
            stuck("AERIN_ACK");
    uint64_t acknowledged = cycles;
    top.p_AERIN__REQ.set<bool>(false);
    while (seen())
        if (tick(), cycles > limit)
            stuck("the end of AERIN_ACK");
    uint64_t down = cycles;
    if (!idle)
        return;
    while (!done())
        if (tick(), cycles > begin + 100000000)
            stuck("the core");
    printf("%llu %llu %llu", (unsigned long long)(acknowledged - begin), (unsigned long long)(down - begin), (unsigned long long)(cycles - begin));
    for (unsigned n : spikes)
        printf(" %u", n);
    printf("\n");
    spikes.clear();
}

static int half = 0;

static void ticks(int n) {
    while (n-- > 0)
        tick();
}

/// A bit of SPI: MOSI changes while SCK is low. Gives MISO as it is at the rising edge.
static bool bit(bool value) {
    top.p_MOSI.set<bool>(value);
    ticks(half);
    top.step();
    bool miso = top.p_MISO.get<bool>();
    top.p_SCK.set<bool>(true);
    top.step();
    ticks(half);
    top.p_SCK.set<bool>(false);
    top.step();
    return miso;
}

static uint32_t transfer(uint32_t address, uint32_t data) {
    uint32_t out = 0;
    for (int k = 39; k >= 0; k--) {
        bool miso = bit(k >= 20 ? address >> (k - 20) & 1 : data >> k & 1);
        if (k < 20)
            out = out << 1 | miso;
        // Where SCK is the faster clock, the chip needs time to see that a transfer began, its address, and its end.
        if (!half && (k == 39 || k == 20 || k == 0))
            ticks(8);
    }
    return out;
}

int main(int argc, char **argv) {
    bool idle = true;
    std::string memory = "neuron_core_0 neurarray_0 SRAM";
    for (int k = 1; k + 1 < argc; k += 2) {
        if (!strcmp(argv[k], "--latency"))
            latency = atoi(argv[k + 1]);
        else if (!strcmp(argv[k], "--sck"))
            half = atoi(argv[k + 1]);
        else if (!strcmp(argv[k], "--wait"))
            idle = !strcmp(argv[k + 1], "idle");
        else if (!strcmp(argv[k], "--memory"))
            memory = argv[k + 1];
    }
    top.debug_info(&items, nullptr, "");
    state = item("controller_0 state").curr;
    busy = item("aer_out_0 AEROUT_CTRL_BUSY").curr;
    for (auto &entry : items.table)
        if (entry.first.rfind("scheduler_0 ", 0) == 0 && entry.first.size() > 6 && entry.first.compare(entry.first.size() - 6, 6, " empty") == 0)
            empties.push_back(entry.second[0].curr);
    if (empties.empty())
        item("scheduler_0 * empty");
    const auto &words = item(memory);
    size_t chunks = (words.width + 31) / 32;
    top.p_RST.set<bool>(true);
    for (int k = 0; k < 8; k++)
        tick();
    top.p_RST.set<bool>(false);
    for (int k = 0; k < 8; k++)
        tick();
    std::string line;
    while (std::getline(std::cin, line)) {
        const char *text = line.c_str();
        unsigned a = 0, d = 0;
        switch (text[0]) {
        case 'S':
            sscanf(text + 1, "%x %x", &a, &d);
            transfer(a, d);
            break;
        case 'R':
            sscanf(text + 1, "%x", &a);
            printf("%x\n", transfer(a, 0) & 0xff);
            break;
        case 'A':
            sscanf(text + 1, "%x", &a);
            event(a, idle);
            break;
        case 'W':
            while (!done())
                tick();
            for (unsigned n : spikes)
                printf("%u ", n);
            printf("\n");
            spikes.clear();
            break;
        case 'T':
            printf("%llu\n", (unsigned long long)cycles);
            break;
        case 'F':
            fflush(stdout);
            break;
        case 'D':
            for (size_t n = 0; n < words.depth; n++) {
                for (size_t c = chunks; c-- > 0;)
                    printf("%08x", words.curr[n * chunks + c]);
                printf(n + 1 < words.depth ? " " : "\n");
            }
            break;
        default:
            fprintf(stderr, "no command: %s\n", text);
            return 2;
        }
    }
    return 0;
}

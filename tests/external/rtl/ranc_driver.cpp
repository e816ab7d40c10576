// Host of RANC's RTL (RANCNetworkGrid), translated by Yosys (CXXRTL): memories, ticks, packets in, the output bus.
//
// In: MODEL (generated header) and DESIGN (its class) by the compiler's command line; on the program's, the folder of csram_NNN.mem and tc_NNN.mem, which are
// loaded as $readmemb would; commands on stdin, one a line:
//   P WORD     puts a packet (hexadecimal) into the host's buffer
//   L CYCLES   runs so many cycles; prints as T does
//   T CYCLES   a tick, and so many cycles from it. Prints the cycle in which the last core was done, counted from the tick, errors (1: token controller, 2: scheduler),
//              packets left in the host's buffer, OUTPUT for each packet of the bus, then CORE@CYCLE for each packet that arrived in a core or at the bus
//   D CORE     prints the rows of a core's CSRAM, from the highest bit
//   F          sends what was printed
// Inputs change after a rising edge. The host puts its packets into its buffer in the cycle after the tick. The buffer is read as RANC's buffer.v is: a packet for each read enable, in the next cycle.
#include MODEL
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <vector>

static cxxrtl_design::DESIGN top;
static cxxrtl::debug_items items;
static std::deque<uint64_t> host;
static std::vector<const uint32_t *> states;
static std::vector<std::pair<int, const uint32_t *>> arrivals;
static uint64_t cycles = 0;

static bool ends(const std::string &text, const char *with) {
    size_t n = strlen(with);
    return text.size() >= n && text.compare(text.size() - n, n, with) == 0;
}

/// Number of the core in a hierarchical name, -1 where there is none.
static int core_of(const std::string &name) {
    size_t at = name.find("gencore[");
    return at == std::string::npos ? -1 : atoi(name.c_str() + at + 8);
}

/// Fills a memory from a file of binary words, one a line. Gives whether the file is there.
static bool load(const std::string &path, const cxxrtl::debug_item &memory) {
    std::ifstream in(path);
    if (!in)
        return false;
    size_t chunks = (memory.width + 31) / 32, word = 0;
    for (std::string line; std::getline(in, line); word++) {
        if (line.size() != memory.width || word >= memory.depth) {
            fprintf(stderr, "%s, line %zu: found %zu bits, expected %zu words of %zu\n", path.c_str(), word + 1, line.size(), memory.depth, memory.width);
            exit(2);
        }
        for (size_t c = 0; c < chunks; c++)
            memory.curr[word * chunks + c] = 0;
        for (size_t k = 0; k < memory.width; k++)
            if (line[memory.width - 1 - k] == '1')
                memory.curr[word * chunks + k / 32] |= 1u << (k % 32);
    }
    return true;
}

/// One cycle. `tick`: the input is high at its rising edge; `sending`: the host's buffer is open.
static void cycle(bool tick, bool sending) {
    bool read = sending && top.p_ren__to__input__buffer.get<bool>();
    top.p_tick.set<bool>(tick);
    top.step();
    top.p_clk.set<bool>(true);
    top.step();
    if (read && !host.empty()) {
        top.p_packet__in.set<uint64_t>(host.front());
        host.pop_front();
    }
    top.p_input__buffer__empty.set<bool>(!sending || host.empty());
    top.p_tick.set<bool>(false);
    top.step();
    top.p_clk.set<bool>(false);
    top.step();
    top.step();
    cycles++;
}

static void run(uint64_t n, bool tick) {
    uint64_t done = 0;
    int errors = 0;
    // The packets are in the buffer from the second cycle on.
    top.p_input__buffer__empty.set<bool>(true);
    std::vector<unsigned> out;
    std::vector<std::pair<int, uint64_t>> arrived;
    for (uint64_t k = 1; k <= n; k++) {
        if (k == 2)
            top.p_input__buffer__empty.set<bool>(host.empty());
        cycle(tick && k == 1, k > 1);
        for (auto state : states)
            if (*state)
                done = k + 1;
        for (auto &valid : arrivals)
            if (*valid.second & 1)
                arrived.emplace_back(valid.first, k);
        if (top.p_packet__out__valid.get<bool>())
            out.push_back(top.p_packet__out.get<uint32_t>());
        errors |= top.p_token__controller__error.get<bool>() | top.p_scheduler__error.get<bool>() << 1;
    }
    printf("%llu %d %zu", (unsigned long long)done, errors, host.size());
    for (auto o : out)
        printf(" %u", o);
    for (auto &a : arrived)
        printf(" %d@%llu", a.first, (unsigned long long)a.second);
    printf("\n");
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "%s FOLDER\n", argv[0]);
        return 2;
    }
    top.debug_info(&items, nullptr, "");
    std::map<int, const cxxrtl::debug_item *> rows;
    for (auto &entry : items.table) {
        const std::string &name = entry.first;
        const auto &item = entry.second[0];
        int core = core_of(name);
        char file[64];
        if (ends(name, "Core CSRAM memory")) {
            rows[core] = &item;
            snprintf(file, sizeof file, "/csram_%03d.mem", core);
        } else if (ends(name, "Core TokenController neuron_instructions")) {
            snprintf(file, sizeof file, "/tc_%03d.mem", core);
        } else {
            if (ends(name, "Core TokenController state"))
                states.push_back(item.curr);
            if (ends(name, "local_in Merge wen"))
                arrivals.emplace_back(core, item.curr);
            continue;
        }
        if (!load(argv[1] + std::string(file), item)) {
            fprintf(stderr, "no %s%s\n", argv[1], file);
            return 2;
        }
    }
    if (rows.empty() || states.size() != rows.size() || arrivals.size() != rows.size() + 1) {
        fprintf(stderr, "the design has %zu memories, %zu token controllers, %zu routers\n", rows.size(), states.size(), arrivals.size());
        return 2;
    }
    top.p_input__buffer__empty.set<bool>(true);
    top.p_rst.set<bool>(true);
    for (int k = 0; k < 4; k++)
        cycle(false, false);
    top.p_rst.set<bool>(false);
    std::string line;
    while (std::getline(std::cin, line)) {
        unsigned long long n = 0;
        switch (line[0]) {
        case 'P':
            sscanf(line.c_str() + 1, "%llx", &n);
            host.push_back(n);
            break;
        case 'L':
        case 'T':
            sscanf(line.c_str() + 1, "%llu", &n);
            run(n, line[0] == 'T');
            break;
        case 'D': {
            sscanf(line.c_str() + 1, "%llu", &n);
            const auto &memory = *rows.at((int)n);
            size_t chunks = (memory.width + 31) / 32;
            for (size_t word = 0; word < memory.depth; word++) {
                for (size_t k = memory.width; k-- > 0;)
                    putchar('0' + (memory.curr[word * chunks + k / 32] >> (k % 32) & 1));
                putchar(word + 1 < memory.depth ? ' ' : '\n');
            }
            break;
        }
        case 'F':
            fflush(stdout);
            break;
        default:
            fprintf(stderr, "no command: %s\n", line.c_str());
            return 2;
        }
    }
    return 0;
}

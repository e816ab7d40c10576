"""The same as `tinyodin_rtl.py` for ODIN's RTL (github.com/ChFrenkel/ODIN) and `spikec export --format odin-spi`.

    python odin_rtl.py target/release/spikec FOLDER_OF_THE_VERILOG [--nets 20] [--images 20] [--bundle B.spkb:DATA.npz[:SAMPLES]] [--latency 1]
"""

import sys

from tinyodin_rtl import main

if __name__ == "__main__":
    sys.exit(main("odin"))

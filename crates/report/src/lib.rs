//! Reports as JSON and as tables for a terminal.

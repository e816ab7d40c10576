//! Tables and numbers for a terminal.

use comfy_table::{CellAlignment, Table, presets};

/// A plain table: headings, then rows; columns from the second on are aligned to the right.
pub fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(headings.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for k in 1..headings.len() {
        if let Some(column) = table.column_mut(k) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// A count with thin groups of thousands: `635,200`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (k, c) in digits.chars().enumerate() {
        if k > 0 && (digits.len() - k).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A share as a percentage: `12.3 %`; `-` of nothing.
pub fn percent(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.2} %", 100.0 * part / whole) } else { "-".into() }
}

/// A text for SVG.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A bar of `width` blocks for a share between 0 and 1.
pub fn bar(share: f64, width: usize) -> String {
    let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
    let mut out = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        out.push(['▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8 - 1]);
    }
    out
}

/// A time in the unit that fits: `644.8 ns`, `1.221 us`.
pub fn time(ps: f64) -> String {
    scaled(ps, &["ps", "ns", "us", "ms", "s"])
}

/// An energy in the unit that fits: `35.5 pJ`, `1.421 nJ`.
pub fn energy(pj: f64) -> String {
    scaled(pj, &["pJ", "nJ", "uJ", "mJ", "J"])
}

/// Four digits and a unit; each unit is a thousand of the one before.
fn scaled(mut x: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while x.abs() >= 999.95 && unit + 1 < units.len() {
        x /= 1000.0;
        unit += 1;
    }
    let digits = match x.abs() {
        x if x >= 99.995 => 1,
        x if x >= 9.9995 => 2,
        _ => 3,
    };
    let shown = format!("{x:.digits$}");
    // Whole picoseconds and the like need no decimals.
    let shown = if unit == 0 && x == x.trunc() { format!("{x:.0}") } else { shown };
    format!("{shown} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_energies_have_fitting_units() {
        for (ps, shown) in [(0.0, "0 ps"), (644_800.0, "644.8 ns"), (999_949.0, "999.9 ns"), (999_951.0, "1.000 us"), (1.5e7, "15.00 us")] {
            assert_eq!(time(ps), shown);
        }
        for (pj, shown) in [(35.5, "35.50 pJ"), (1421.0, "1.421 nJ"), (4e18, "4000000.0 J")] {
            assert_eq!(energy(pj), shown);
        }
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1000), "1,000");
        assert_eq!(count(1234567), "1,234,567");
    }

    #[test]
    fn bars_fill() {
        assert_eq!(bar(0.0, 4), "");
        assert_eq!(bar(1.0, 4), "████");
        assert_eq!(bar(0.5, 1), "▌");
    }
}

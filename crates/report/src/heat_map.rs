//! A map of the mesh: how busy each core is, in block characters.
//!
//! In: cores with their routers and a share. Out: lines of text.
//! Invariant: at most [`WIDTH`] columns and [`HEIGHT`] lines of map: large boards are drawn with one character for a router,
//! or for a square of routers. Only the rectangle of used routers is drawn.

/// Most columns of the map.
const WIDTH: usize = 96;
/// Most lines of the map.
const HEIGHT: usize = 40;
/// Cores of a router that stand side by side.
const ABREAST: usize = 4;
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const UNUSED: char = '·';

/// A core.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Column of its router.
    pub x: u32,
    /// Row of its router.
    pub y: u32,
    /// Its place at the router.
    pub slot: u32,
    /// Physical number.
    pub core: u32,
    /// Between 0 and 1.
    pub share: f64,
}

/// The rectangle that is drawn.
struct Area {
    x: u32,
    y: u32,
    width: usize,
    height: usize,
}

/// The map with its legend; `what` says what a share is of.
pub fn heat_map(cells: &[Cell], cores_per_router: u32, what: &str) -> String {
    let Some(busiest) = cells.iter().copied().reduce(|a, b| if b.share > a.share { b } else { a }) else { return String::new() };
    let least = |of: fn(&Cell) -> u32| cells.iter().map(of).min().unwrap_or(0);
    let most = |of: fn(&Cell) -> u32| cells.iter().map(of).max().unwrap_or(0);
    let (x, y) = (least(|c| c.x), least(|c| c.y));
    let area = Area { x, y, width: (most(|c| c.x) - x) as usize + 1, height: (most(|c| c.y) - y) as usize + 1 };
    let slots = cores_per_router.max(1) as usize;
    let (across, down) = (slots.min(ABREAST), slots.div_ceil(ABREAST));
    let whole = area.width * (across + 1) <= WIDTH && area.height * down <= HEIGHT;
    let mut square = 1;
    while !whole && (area.width.div_ceil(square) > WIDTH || area.height.div_ceil(square) > HEIGHT) {
        square *= 2;
    }
    let drawn = match (whole, square) {
        (true, _) if slots == 1 => "each character is a core",
        (true, _) => "each group is a router with its cores",
        (false, 1) => "each character is the busiest core of a router",
        (false, _) => "each character is the busiest core of a square of routers",
    };
    let size = if square > 1 { format!(" ({square} x {square})") } else { String::new() };
    let mut out = format!(
        "cores by {what}: {drawn}{size}\n  {UNUSED} unused   {}{}{}{} up to {:.1} % (core {})\n",
        BLOCKS[0],
        BLOCKS[2],
        BLOCKS[4],
        BLOCKS[7],
        100.0 * busiest.share,
        busiest.core
    );
    // `None`: no core there.
    let (columns, lines) =
        if whole { (area.width * across, area.height * down) } else { (area.width.div_ceil(square), area.height.div_ceil(square)) };
    let mut grid: Vec<Option<f64>> = vec![None; columns * lines];
    for c in cells {
        let (column, line) = ((c.x - area.x) as usize, (c.y - area.y) as usize);
        let slot = c.slot as usize % slots;
        let at = if whole { (column * across + slot % ABREAST, line * down + slot / ABREAST) } else { (column / square, line / square) };
        let share = &mut grid[at.1 * columns + at.0];
        *share = Some(share.map_or(c.share, |s| s.max(c.share)));
    }
    let (group, rows) = if whole { (across, down) } else { (columns, 1) };
    let margin = (area.y as usize + area.height).to_string().len() + 4;
    if whole {
        out.push_str(&header(&area, margin, across));
    }
    for (line, shares) in grid.chunks(columns).enumerate() {
        let label = if line % rows == 0 { format!("y {}", area.y as usize + line / rows * square) } else { String::new() };
        out.push_str(&format!("  {label:<margin$}"));
        let groups: Vec<String> = shares.chunks(group).map(|g| g.iter().map(|s| glyph(*s, busiest.share)).collect()).collect();
        out.push_str(groups.join(" ").trim_end());
        out.push('\n');
    }
    out
}

/// Columns of the routers, where they fit above their groups.
fn header(area: &Area, margin: usize, across: usize) -> String {
    let last = area.x as usize + area.width - 1;
    if last.to_string().len() > across {
        return String::new();
    }
    let numbers: Vec<String> = (area.x as usize..=last).map(|x| format!("{x:<across$}")).collect();
    format!("  {:<margin$}{}\n", "  x", numbers.join(" ").trim_end())
}

/// The block of a share of `top`; `None`: nothing is there.
pub(crate) fn glyph(share: Option<f64>, top: f64) -> char {
    let Some(share) = share else { return UNUSED };
    let level = if top > 0.0 { (share / top * BLOCKS.len() as f64).ceil() as usize } else { 1 };
    BLOCKS[level.clamp(1, BLOCKS.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(core: u32, width: u32, slots: u32, share: f64) -> Cell {
        let router = core / slots;
        Cell { x: router % width, y: router / width, slot: core % slots, core, share }
    }

    #[test]
    fn a_chip_is_drawn_with_its_routers() {
        let cells = [cell(0, 8, 4, 0.5), cell(1, 8, 4, 0.25), cell(6, 8, 4, 0.0), cell(35, 8, 4, 0.1)];
        let map = heat_map(&cells, 4, "time");
        let lines: Vec<&str> = map.lines().collect();
        assert_eq!(lines[1], "  · unused   ▁▃▅█ up to 50.0 % (core 0)");
        assert_eq!(lines[2..], ["    x  0    1", "  y 0  █▄·· ··▁·", "  y 1  ···▂ ····"]);
    }

    #[test]
    fn a_single_core_and_none() {
        assert_eq!(heat_map(&[], 4, "time"), "");
        let map = heat_map(&[cell(5, 8, 1, 0.0)], 1, "time");
        assert_eq!(map.lines().skip(2).collect::<Vec<_>>(), ["    x  5", "  y 0  ▁"]);
    }

    #[test]
    fn large_boards_stay_readable() {
        // 16 x 64 chips of 8 x 4 routers: one busy corner each.
        let cells: Vec<Cell> =
            (0..16 * 64u32).map(|k| Cell { x: k % 16 * 8, y: k / 16 * 4, slot: 3, core: k * 128, share: f64::from(k) / 1024.0 }).collect();
        let map = heat_map(&cells, 4, "time");
        assert!(map.lines().count() <= HEIGHT + 4, "{map}");
        assert!(map.lines().all(|l| l.chars().count() <= WIDTH + 16), "{map}");
        assert!(map.contains("square of routers (8 x 8)"), "{map}");
        // 20 x 4 routers with 4 cores each are too wide for cores, not for routers.
        let cells: Vec<Cell> = (0..80u32).map(|k| Cell { x: k % 20, y: k / 20, slot: 0, core: 4 * k, share: 0.5 }).collect();
        let map = heat_map(&cells, 4, "time");
        assert_eq!(map.lines().last(), Some(format!("  y 3  {}", "█".repeat(20)).as_str()));
    }
}

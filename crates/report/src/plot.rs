//! Plots of training: curves over epochs, and distributions.
//!
//! In: panels of points. Out: SVG. Invariant: any finite or infinite numbers give a picture without NaN; what is not finite is left out.

use crate::table::escape;
use std::fmt::Write as _;

/// Colours of curves.
const COLOURS: [&str; 5] = ["#1f6fb4", "#d1622b", "#2f8f4e", "#8a4fb0", "#777777"];
/// Width and height of a panel.
const SIZE: (f64, f64) = (720.0, 220.0);
/// Space on the left, at the top, on the right and at the bottom of a panel.
const SPACE: (f64, f64, f64, f64) = (76.0, 30.0, 150.0, 40.0);

/// How a panel shows its points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// As curves.
    Curves,
    /// As columns from 0, each as wide as the distance to the next.
    Columns,
}

/// One plot.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What is on the vertical axis.
    pub title: String,
    /// What is on the horizontal one.
    pub below: String,
    /// Curves or columns.
    pub shown: Shown,
    /// Names and points.
    pub series: Vec<(String, Vec<(f64, f64)>)>,
}

/// Counts of `values` in `bins` equal bins from the smallest to the largest: left ends and counts.
pub fn histogram(values: &[f32], bins: usize) -> Vec<(f64, f64)> {
    let finite = || values.iter().copied().filter(|v| v.is_finite()).map(f64::from);
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return Vec::new();
    }
    let width = if high > low { (high - low) / bins as f64 } else { 1.0 };
    let mut counts = vec![0u64; bins];
    finite().for_each(|v| counts[(((v - low) / width) as usize).min(bins - 1)] += 1);
    counts.iter().enumerate().map(|(k, &n)| (low + width * k as f64, n as f64)).collect()
}

/// Panels below each other.
pub fn svg(title: &str, panels: &[Panel]) -> String {
    let (w, h) = (SIZE.0, 40.0 + SIZE.1 * panels.len() as f64);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"{w}\" height=\"{h}\" fill=\"#fff\"/>\n<text x=\"20\" y=\"24\" font-size=\"15\">{}</text>\n",
        escape(title)
    );
    for (k, panel) in panels.iter().enumerate() {
        draw(&mut out, panel, 40.0 + SIZE.1 * k as f64);
    }
    out + "</svg>\n"
}

fn draw(out: &mut String, panel: &Panel, top: f64) {
    let columns = panel.shown == Shown::Columns;
    let points = || panel.series.iter().flat_map(|(_, p)| p).filter(|p| p.0.is_finite() && p.1.is_finite());
    let range = |of: &dyn Fn(&(f64, f64)) -> f64| {
        let (low, high) = points().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low > high { (0.0, 1.0) } else { (low, if high > low { high } else { low + 1.0 }) }
    };
    let (x0, mut x1) = range(&|p| p.0);
    let (mut y0, y1) = range(&|p| p.1);
    let width = match panel.series.first().map(|(_, p)| &p[..]) {
        Some([first, second, ..]) if columns => second.0 - first.0,
        _ => 1.0,
    };
    if columns {
        (x1, y0) = (x1 + width, 0.0);
    }
    let (left, right, head, foot) = (SPACE.0, SIZE.0 - SPACE.2, top + SPACE.1, top + SIZE.1 - SPACE.3);
    let x = |v: f64| left + (v - x0) / (x1 - x0) * (right - left);
    let y = |v: f64| foot - (v - y0) / (y1 - y0) * (foot - head);
    let _ = writeln!(out, "<text x=\"20\" y=\"{:.1}\">{}</text>", top + 16.0, escape(&panel.title));
    for k in 0..=4 {
        let share = f64::from(k) / 4.0;
        let (vx, vy) = (x0 + share * (x1 - x0), y0 + share * (y1 - y0));
        let _ = writeln!(
            out,
            "<line x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{0:.1}\" y2=\"{0:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{1:.1}\" y=\"{2:.1}\" text-anchor=\"end\">{3}</text><text x=\"{4:.1}\" y=\"{5:.1}\" text-anchor=\"middle\">{6}</text>",
            y(vy),
            left - 6.0,
            y(vy) + 4.0,
            short(vy),
            x(vx),
            foot + 16.0,
            short(vx)
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        (left + right) / 2.0,
        foot + 32.0,
        escape(&panel.below)
    );
    for (k, (name, points)) in panel.series.iter().enumerate() {
        let colour = COLOURS[k % COLOURS.len()];
        let points: Vec<&(f64, f64)> = points.iter().filter(|p| p.0.is_finite() && p.1.is_finite()).collect();
        if columns {
            for p in points {
                let (px, py) = (x(p.0), y(p.1));
                let _ = writeln!(
                    out,
                    "<rect x=\"{px:.1}\" y=\"{py:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\" fill-opacity=\"0.5\"/>",
                    (x(p.0 + width) - px).max(0.5),
                    (foot - py).max(0.0)
                );
            }
        } else {
            let path: Vec<String> = points.iter().map(|p| format!("{:.1},{:.1}", x(p.0), y(p.1))).collect();
            let _ = writeln!(out, "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", path.join(" "));
            points.last().into_iter().for_each(|p| {
                let _ = writeln!(out, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", x(p.0), y(p.1));
            });
        }
        let line = head + 14.0 + 18.0 * k as f64;
        let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{line:.1}\" fill=\"{colour}\">{}</text>", right + 10.0, escape(name));
    }
}

/// A number with about three digits.
fn short(v: f64) -> String {
    let size = v.abs();
    match size {
        _ if size == 0.0 => "0".into(),
        _ if (1000.0..1e7).contains(&size) => format!("{}{}", if v < 0.0 { "-" } else { "" }, crate::table::count(size as u64)),
        _ if (0.01..1000.0).contains(&size) => {
            let text = format!("{v:.3}");
            text.trim_end_matches('0').trim_end_matches('.').into()
        }
        _ => format!("{v:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_signs() {
        let texts = [-1500.0, 1500.0, -999.5, -0.25, 0.0, -2e8, 12.3456].map(short);
        assert_eq!(texts, ["-1,500", "1,500", "-999.5", "-0.25", "0", "-2.0e8", "12.346"]);
    }

    #[test]
    fn plots_hold_what_is_finite() {
        let curve = |points: &[(f64, f64)]| Panel {
            title: "a <b>".into(),
            below: "epoch".into(),
            shown: Shown::Curves,
            series: vec![("one".into(), points.to_vec())],
        };
        for points in [&[][..], &[(1.0, 2.0)], &[(1.0, f64::NAN), (2.0, 3.0), (3.0, f64::INFINITY)], &[(1.0, 0.5), (2.0, 0.25)]] {
            let svg = svg("t", &[curve(points), Panel { shown: Shown::Columns, ..curve(points) }]);
            assert!(!svg.contains("NaN") && !svg.contains("inf") && svg.contains("a &lt;b&gt;") && svg.ends_with("</svg>\n"));
        }
        let bins = histogram(&[0.0, 0.1, 0.9, 1.0, f32::NAN], 4);
        assert_eq!(bins, [(0.0, 2.0), (0.25, 0.0), (0.5, 0.0), (0.75, 2.0)]);
        assert_eq!(histogram(&[2.0, 2.0], 2)[0], (2.0, 2.0));
        assert!(histogram(&[], 3).is_empty());
        assert_eq!((short(0.0), short(0.25), short(12_345.0), short(1e-5)), ("0".into(), "0.25".into(), "12,345".into(), "1.0e-5".into()));
    }
}

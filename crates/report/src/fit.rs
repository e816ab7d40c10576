//! What a fit removed and why, for people.

use crate::table::{count, energy, escape, percent, table, time};
use spikec_compile::Signs;
use spikec_fit::fit::{FitReport, Method, Shape, Width};
use spikec_fit::frontier::{Point, knee};
use spikec_fit::sculpt::Saliency;
use std::fmt::Write;

/// A width in words.
pub fn width(w: Width) -> String {
    let bits = if w.bits == w.output_bits { w.bits.to_string() } else { format!("{} (output {})", w.bits, w.output_bits) };
    format!("{bits} bits, {}", if w.signs == Signs::Split { "split signs" } else { "mixed signs" })
}

/// The report as text.
pub fn text(report: &FitReport) -> String {
    let mut out = table(
        &["layer", "synapses", "stay", "", "neurons", "reached", "axons", "used"],
        report.layers.iter().map(|l| {
            vec![
                l.name.clone(),
                count(l.synapses),
                count(l.synapses_left),
                percent(l.synapses_left as f64, l.synapses as f64),
                count(l.neurons),
                count(l.neurons_left),
                count(l.axons),
                count(l.axons_left),
            ]
        }),
    );
    out.push('\n');
    for layer in &report.layers {
        if let Some((trained, left)) = layer.kernel_weights {
            let _ = writeln!(
                out,
                "{}: {} of {} weights of its kernels stay, each at all places",
                escape(&layer.name),
                count(left),
                count(trained)
            );
        }
    }
    if report.candidates.len() > 1 {
        let rows = report.candidates.iter().map(|c| {
            vec![
                width(c.width),
                if c.shape == Shape::Whole { "axons, neurons" } else { "synapses" }.into(),
                c.balance.to_string(),
                count(c.synapses),
                count(c.words),
                c.cores.to_string(),
                percent(c.score.agreement, 1.0),
                format!("{:.3}", c.score.distance),
                format!("{:.4}", c.score.divergence),
                if (c.width, c.shape, c.balance) == (report.width, report.shape, report.balance) { "taken".into() } else { String::new() },
            ]
        });
        out.push_str(&table(
            &["tried", "removed", "balance", "synapses", "words", "cores", "same class", "count distance", "divergence", ""],
            rows,
        ));
        out.push('\n');
    }
    if let Some(before) = &report.untuned {
        let _ = writeln!(
            out,
            "tuned together: same class for {} instead of {}, count distance {:.3} instead of {:.3}",
            percent(report.score.agreement, 1.0),
            percent(before.agreement, 1.0),
            report.score.distance,
            before.distance
        );
    }
    for u in &report.budget {
        let _ = writeln!(out, "budget: {} of {} {}", count(u.used), count(u.allowed), u.what);
    }
    for u in report.next_larger.iter().filter(|u| u.used > u.allowed) {
        let _ = writeln!(
            out,
            "the next larger network that was tried uses {} {}, {} too many",
            count(u.used),
            u.what,
            count(u.used - u.allowed)
        );
    }
    let s = report.score;
    let _ = writeln!(
        out,
        "{}; on {} samples held back: same class for {}, {:.3} squared spikes apart a sample",
        width(report.width),
        count(s.samples as u64),
        percent(s.agreement, 1.0),
        s.distance
    );
    out
}

/// A method in a word or two.
pub fn method(m: &Method) -> String {
    let saliency = match m.saliency {
        Saliency::Magnitude => "magnitude",
        Saliency::LayerMagnitude => "magnitude by layer",
        Saliency::Activity => "activity",
        Saliency::SecondOrder => "second order",
    };
    let cost = if m.chip_cost { ", chip cost" } else { "" };
    format!("{saliency}{cost}{}", if m.reconstruct { "" } else { ", not refitted" })
}

/// Points by method, each list by falling memory.
pub fn by_method(points: &[Point]) -> Vec<(Method, Vec<&Point>)> {
    let mut out: Vec<(Method, Vec<&Point>)> = Vec::new();
    for p in points {
        match out.iter_mut().find(|(m, _)| *m == p.method) {
            Some((_, list)) => list.push(p),
            None => out.push((p.method, vec![p])),
        }
    }
    out.iter_mut().for_each(|(_, list)| list.sort_by_key(|p| std::cmp::Reverse(p.memory_bytes)));
    out
}

/// A frontier as a table, with the knee of each method.
pub fn frontier_text(points: &[Point]) -> String {
    let mut rows = Vec::new();
    let mut knees = String::new();
    for (m, list) in by_method(points) {
        let at = knee(&list);
        for (k, p) in list.iter().enumerate() {
            rows.push(vec![
                method(&m),
                count(p.allowed_bytes),
                count(p.words),
                p.cores.to_string(),
                count(p.synapses),
                width(p.width),
                percent(p.score.agreement, 1.0),
                p.agreement.map_or("-".into(), |a| percent(a, 1.0)),
                p.accuracy.map_or("-".into(), |a| percent(a, 1.0)),
                count(p.synaptic_ops.round() as u64),
                energy(p.energy_pj),
                time(p.latency_ps),
                if at == Some(k) { "knee".into() } else { String::new() },
            ]);
        }
        if let Some(k) = at {
            let _ = writeln!(
                knees,
                "knee of {}: {} words, same class for {}",
                method(&m),
                count(list[k].words),
                percent(list[k].quality(), 1.0)
            );
        }
    }
    let headings = [
        "method",
        "bytes allowed",
        "words",
        "cores",
        "synapses",
        "weights",
        "held back",
        "same class",
        "accuracy",
        "ops a sample",
        "energy",
        "latency",
        "",
    ];
    table(&headings, rows) + "\n" + &knees
}

const COLOURS: [&str; 6] = ["#1b6ca8", "#c0392b", "#27864a", "#8e5ea2", "#b8860b", "#555555"];

/// A frontier as a picture: the share of samples that keep their class over words of memory.
pub fn frontier_svg(title: &str, points: &[Point]) -> String {
    let (w, h, left, top, right, bottom) = (740.0, 440.0, 84.0, 44.0, 24.0, 56.0);
    let words = |p: &Point| (p.words.max(1) as f64).log2();
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    let (mut worst, mut best) = (1f64, 0f64);
    for p in points {
        (low, high) = (low.min(words(p)), high.max(words(p)));
        (worst, best) = (worst.min(p.quality()), best.max(p.quality()));
    }
    if points.is_empty() {
        (low, high, worst, best) = (0.0, 1.0, 0.0, 1.0);
    }
    let (low, high) = (low.floor(), high.ceil().max(low.floor() + 1.0));
    let step = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2].into_iter().find(|s| (best - worst) / s <= 8.0).unwrap_or(0.25);
    let (floor, roof) = ((worst / step).floor() * step, ((best / step).ceil() * step).max((worst / step).floor() * step + step));
    let x = |v: f64| left + (v - low) / (high - low) * (w - left - right);
    let y = |v: f64| h - bottom - (v - floor) / (roof - floor) * (h - top - bottom);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"{w}\" height=\"{h}\" fill=\"#fff\"/>\n<text x=\"{left}\" y=\"22\" font-size=\"15\">{}</text>\n",
        escape(title)
    );
    let lines = ((roof - floor) / step).round() as usize;
    for k in 0..=lines {
        let v = floor + k as f64 * step;
        let _ = writeln!(
            out,
            "<line x1=\"{left}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"#ddd\"/><text x=\"{2:.1}\" y=\"{3:.1}\" text-anchor=\"end\">{4:.1} %</text>",
            w - right,
            y(v),
            left - 8.0,
            y(v) + 4.0,
            100.0 * v
        );
    }
    for k in low as i32..=high as i32 {
        let v = f64::from(k);
        let _ = writeln!(
            out,
            "<line x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{1:.1}\" y2=\"{2:.1}\" stroke=\"#eee\"/><text x=\"{0:.1}\" y=\"{3:.1}\" text-anchor=\"middle\">{4}</text>",
            x(v),
            top,
            h - bottom,
            h - bottom + 18.0,
            count(2f64.powi(k) as u64)
        );
    }
    let what = if points.iter().any(|p| p.agreement.is_some()) { "test samples" } else { "samples held back" };
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">words of synaptic memory</text>\
         <text transform=\"translate(16 {:.1}) rotate(-90)\" text-anchor=\"middle\">same class as trained, {what}</text>",
        (left + w - right) / 2.0,
        h - 14.0,
        (top + h - bottom) / 2.0
    );
    for (k, (m, list)) in by_method(points).iter().enumerate() {
        let colour = COLOURS[k % COLOURS.len()];
        let path: Vec<String> = list.iter().map(|p| format!("{:.1},{:.1}", x(words(p)), y(p.quality()))).collect();
        let _ = writeln!(out, "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", path.join(" "));
        let at = knee(list);
        for (k, p) in list.iter().enumerate() {
            let (cx, cy) = (x(words(p)), y(p.quality()));
            let tip = format!("{} words, {}: {:.2} %", count(p.words), width(p.width), 100.0 * p.quality());
            let _ = writeln!(
                out,
                "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"{}\" fill=\"{colour}\"><title>{}</title></circle>",
                if at == Some(k) { 6 } else { 3 },
                escape(&tip)
            );
            if at == Some(k) {
                let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">knee</text>", cx + 9.0, cy + 16.0);
            }
        }
        let line = h - bottom - 14.0 - 18.0 * k as f64;
        let _ = writeln!(
            out,
            "<line x1=\"{0:.1}\" x2=\"{1:.1}\" y1=\"{2:.1}\" y2=\"{2:.1}\" stroke=\"{colour}\" stroke-width=\"3\"/><text x=\"{3:.1}\" y=\"{4:.1}\">{5}</text>",
            w - right - 250.0,
            w - right - 226.0,
            line,
            w - right - 218.0,
            line + 4.0,
            escape(&method(m))
        );
    }
    out + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use spikec_fit::fit::Score;

    fn point(saliency: Saliency, words: u64, agreement: f64) -> Point {
        Point {
            method: Method { saliency, chip_cost: true, reconstruct: true, tune: true },
            allowed_bytes: words * 8 + 1,
            memory_bytes: words * 8,
            words,
            width: Width { bits: 3, output_bits: 5, signs: Signs::Split },
            cores: 1,
            synapses: words * 4,
            score: Score { samples: 10, agreement, distance: 1.0, divergence: 0.1 },
            accuracy: Some(agreement),
            agreement: Some(agreement),
            synaptic_ops: 10.0,
            energy_pj: 1e6,
            latency_ps: 1e7,
        }
    }

    #[test]
    fn tables_and_pictures_show_every_point_and_the_knee() {
        let mut points: Vec<Point> =
            [(1000, 0.99), (500, 0.985), (250, 0.97), (125, 0.8)].map(|(w, a)| point(Saliency::SecondOrder, w, a)).into();
        points.extend([(1000, 0.9), (125, 0.1)].map(|(w, a)| point(Saliency::Magnitude, w, a)));
        let text = frontier_text(&points);
        assert_eq!(text.matches("second order, chip cost").count(), 5, "{text}");
        assert!(text.contains("knee of second order, chip cost: 250 words") && text.contains("3 (output 5) bits, split signs"), "{text}");
        let svg = frontier_svg("a <net>", &points);
        assert_eq!((svg.matches("<circle").count(), svg.matches("<polyline").count(), svg.matches(">knee<").count()), (6, 2, 1));
        assert!(svg.contains("a &lt;net&gt;") && !svg.contains("NaN") && !svg.contains("inf"));
        for odd in [&points[..1], &[]] {
            let svg = frontier_svg("one", odd);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}

//! The difference of two indented texts, by their structure.
//!
//! In: two texts whose indentation is their structure, such as those of `inspect`. Out: the lines that differ, under the lines that
//! they are part of. Invariant: no output exactly when the lines are equal (blank ones don't count). Cost: linear in the lines.
//! Why: bundles have a million lines and more, and what a line is about stands before its colon: `in-axon 3: 5 synapses` is compared
//! with the other text's `in-axon 3` under the same core, never with what happens to look alike.

use std::collections::HashMap;

/// A line with the number of spaces before it, and how many lines are its parts.
struct Line<'a> {
    text: &'a str,
    indent: usize,
    parts: usize,
}

/// The lines that differ, `-` from `a` and `+` from `b`; empty when none does.
pub fn diff(a: &str, b: &str) -> String {
    let (a, b) = (lines(a), lines(b));
    let mut out = Diff { text: String::new(), within: Vec::new(), shown: 0 };
    out.compare(&a, &b);
    out.text
}

/// Lines that are not blank. A line's parts are the lines after it that are indented more.
fn lines(text: &str) -> Vec<Line<'_>> {
    let plain = text.lines().filter(|l| !l.trim().is_empty());
    let mut lines: Vec<Line> = plain.map(|l| Line { text: l, indent: l.len() - l.trim_start().len(), parts: 0 }).collect();
    let mut open: Vec<usize> = Vec::new();
    for k in 0..=lines.len() {
        let indent = lines.get(k).map_or(0, |l| l.indent);
        while let Some(&last) = open.last().filter(|&&last| k == lines.len() || lines[last].indent >= indent) {
            lines[last].parts = k - last - 1;
            open.pop();
        }
        open.push(k);
    }
    lines
}

/// What a line is about: the text before its value.
fn key(line: &str) -> &str {
    let end = line.find([':', '┆', '(']).unwrap_or(0);
    &line[..end]
}

/// The heads of a list of lines: those that are no parts of others, with their parts.
fn heads<'l, 't>(lines: &'l [Line<'t>]) -> Vec<&'l [Line<'t>]> {
    let mut heads = Vec::new();
    let mut rest = lines;
    while let Some(first) = rest.first() {
        let (head, next) = rest.split_at(first.parts + 1);
        heads.push(head);
        rest = next;
    }
    heads
}

struct Diff<'a> {
    text: String,
    /// Lines that the ones compared are parts of, the same in both texts; the first `shown` stand in the output.
    within: Vec<&'a str>,
    shown: usize,
}

impl<'a> Diff<'a> {
    fn compare(&mut self, a: &[Line<'a>], b: &[Line<'a>]) {
        let (a, b) = (heads(a), heads(b));
        let pairs = pairs(&a, &b);
        let mut next = 0;
        for (head, pair) in a.iter().zip(&pairs) {
            let Some(pair) = *pair else {
                self.side('-', head);
                continue;
            };
            b[next..pair].iter().for_each(|added| self.side('+', added));
            next = pair + 1;
            let other = b[pair];
            let same = head[0].text == other[0].text;
            if !same {
                self.side('-', &head[..1]);
                self.side('+', &other[..1]);
            }
            self.within.push(head[0].text);
            if !same {
                self.shown = self.within.len();
            }
            self.compare(&head[1..], &other[1..]);
            self.within.pop();
            self.shown = self.shown.min(self.within.len());
        }
        b[next..].iter().for_each(|added| self.side('+', added));
    }

    fn side(&mut self, sign: char, lines: &[Line]) {
        for place in &self.within[self.shown..] {
            self.text.push_str(&format!(" {place}\n"));
        }
        self.shown = self.within.len();
        lines.iter().for_each(|l| self.text.push_str(&format!("{sign}{}\n", l.text)));
    }
}

/// For each head of `a` the head of `b` with the same key (the k-th with that key), in ascending order.
fn pairs(a: &[&[Line]], b: &[&[Line]]) -> Vec<Option<usize>> {
    fn numbered<'t>(heads: &[&[Line<'t>]]) -> Vec<(&'t str, usize)> {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let mut number = |key| {
            let n = seen.entry(key).or_default();
            *n += 1;
            (key, *n)
        };
        heads.iter().map(|h| number(key(h[0].text))).collect()
    }
    let places: HashMap<(&str, usize), usize> = numbered(b).into_iter().enumerate().map(|(k, key)| (key, k)).collect();
    let mut next = 0;
    let mut pair = |key| {
        let place = places.get(&key).copied().filter(|&place| place >= next)?;
        next = place + 1;
        Some(place)
    };
    numbered(a).into_iter().map(&mut pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "net: x\n\ncore 0 (d 1)\n  axon 0: 3\n  axon 1: 4\n    part: 1\n  axon 2: 5\ncore 1 (d 0)\n  axon 0: 3\nend\n";

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(diff(A, A), "");
        assert_eq!(diff("", ""), "");
        assert_eq!(diff("a\n\n", "a\n"), "");
    }

    #[test]
    fn a_line_is_compared_with_the_one_of_its_name_in_its_place() {
        let b = A.replace("part: 1", "part: 2").replace("core 1 (d 0)\n  axon 0: 3", "core 1 (d 0)\n  axon 0: 3\n  axon 1: 9");
        assert_eq!(diff(A, &b), " core 0 (d 1)\n   axon 1: 4\n-    part: 1\n+    part: 2\n core 1 (d 0)\n+  axon 1: 9\n");
        let gone = A.replace("core 0 (d 1)\n  axon 0: 3\n  axon 1: 4\n    part: 1\n  axon 2: 5\n", "core 0 (d 2)\n  axon 2: 5\n");
        assert_eq!(diff(A, &gone), "-core 0 (d 1)\n+core 0 (d 2)\n-  axon 0: 3\n-  axon 1: 4\n-    part: 1\n");
        assert_eq!(diff("", "a: 1\n"), "+a: 1\n");
        assert_eq!(diff("a: 1\n", ""), "-a: 1\n");
    }

    #[test]
    fn another_order_is_a_difference() {
        assert!(!diff("a: 1\nb: 2\n", "b: 2\na: 1\n").is_empty());
        assert_eq!(diff("[\n  1,\n  2\n]\n", "[\n  2,\n  1\n]\n"), " [\n-  1,\n+  2,\n-  2\n+  1\n");
    }

    #[test]
    fn a_million_lines_take_no_time() {
        let text = |seed: u64| {
            let line = |k: u64| format!("  axon {k}: {}\n", (k * 7919 + seed) % 1000 * (seed + 1));
            "core 0\n".to_string() + &(0..500_000).map(line).collect::<String>()
        };
        let start = std::time::Instant::now();
        assert!(diff(&text(1), &text(2)).len() > 1 << 20);
        assert!(start.elapsed().as_secs() < 10);
    }
}

//! Pictures, as the numbers that a template draws: bars over time, each with a table that says the same.

/// Bars side by side, each of parts on top of one another.
pub(super) struct Chart {
    /// Begins the ids of its parts; unique on a page.
    pub(super) id: &'static str,
    pub(super) title: String,
    /// What it shows, in a sentence.
    pub(super) about: String,
    /// The width of the drawing; its height is [`HEIGHT`].
    pub(super) width: usize,
    pub(super) bars: Vec<Bar>,
    /// The number at the top, and half of it.
    pub(super) top: String,
    pub(super) half: String,
    /// Words below, evenly spread.
    pub(super) axis: Vec<String>,
    /// What the columns of the table are.
    pub(super) heads: Vec<&'static str>,
    /// What the tones mean, where there are several.
    pub(super) legend: Vec<(&'static str, &'static str)>,
}

/// One bar, and its row of the table.
pub(super) struct Bar {
    pub(super) x: usize,
    /// In words, for whoever points at it.
    pub(super) words: String,
    pub(super) parts: Vec<Part>,
    pub(super) cells: Vec<String>,
}

/// A part of a bar.
pub(super) struct Part {
    pub(super) tone: &'static str,
    pub(super) y: f64,
    pub(super) height: f64,
}

/// What a bar is made of: the label of its row, and a number for each tone.
pub(super) struct Heap {
    pub(super) label: String,
    pub(super) counts: Vec<i64>,
}

/// The room of one bar, and the bar in it.
const STEP: usize = 10;
const HEIGHT: f64 = 100.0;

/// Words below a chart at most.
const LABELS: usize = 5;

impl Chart {
    /// Draws `heaps`, from left to right; `tones` and the words for them are in the order of their counts.
    pub(super) fn new(
        id: &'static str,
        title: impl Into<String>,
        about: impl Into<String>,
        first_head: &'static str,
        tones: &[(&'static str, &'static str)],
        heaps: Vec<Heap>,
    ) -> Self {
        let top = round_up(heaps.iter().map(|heap| heap.counts.iter().sum()).max().unwrap_or(0));
        let labels: Vec<_> = heaps.iter().map(|heap| heap.label.clone()).collect();
        let names: Vec<_> = tones.iter().map(|(_, words)| *words).collect();
        let bars = heaps.into_iter().enumerate().map(|(at, heap)| Bar::new(at, heap, tones, top));
        Self {
            id,
            title: title.into(),
            about: about.into(),
            width: labels.len() * STEP,
            bars: bars.collect(),
            top: super::moment::number(top),
            half: super::moment::number(top / 2),
            axis: spread(&labels),
            heads: std::iter::once(first_head).chain(names).collect(),
            legend: if tones.len() > 1 { tones.to_vec() } else { Vec::new() },
        }
    }
}

impl Bar {
    fn new(at: usize, heap: Heap, tones: &[(&'static str, &'static str)], top: i64) -> Self {
        let mut parts = Vec::new();
        let mut below = 0;
        let mut words = Vec::new();
        for ((tone, name), count) in tones.iter().zip(&heap.counts).filter(|(_, count)| **count > 0) {
            let share = |count: i64| count as f64 / top.max(1) as f64 * HEIGHT;
            below += count;
            parts.push(Part { tone, y: HEIGHT - share(below), height: share(*count) });
            words.push(format!("{} {}", super::moment::number(*count), name.to_lowercase()));
        }
        let words = if words.is_empty() {
            heap.label.clone()
        } else {
            format!("{}: {}", heap.label, words.join(", "))
        };
        let counts = heap.counts.into_iter().map(super::moment::number);
        let cells = std::iter::once(heap.label).chain(counts).collect();
        Self { x: at * STEP + 1, words, parts, cells }
    }
}

/// The next round number from `value` on: 1, 2, 4, 6, 10, 20 and so forth, which can be halved.
fn round_up(value: i64) -> i64 {
    let mut scale = 1;
    loop {
        for step in [2, 4, 6, 10] {
            if value <= step * scale {
                return step * scale;
            }
        }
        scale *= 10;
    }
}

/// A few of `labels`, evenly spread, the first and the last among them.
fn spread(labels: &[String]) -> Vec<String> {
    let last = labels.len().saturating_sub(1);
    let count = LABELS.min(labels.len());
    if count < 2 {
        return labels.to_vec();
    }
    (0..count).map(|at| labels[at * last / (count - 1)].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(heaps: Vec<Heap>) -> Chart {
        let tones = [("good", "Well"), ("bad", "Not well")];
        Chart::new("c", "Title", "About", "Week", &tones, heaps)
    }

    #[test]
    fn parts_stand_on_one_another_and_reach_the_top_at_most() {
        let chart = chart(vec![
            Heap { label: "a".into(), counts: vec![3, 1] },
            Heap { label: "b".into(), counts: vec![0, 0] },
        ]);
        assert_eq!((chart.top.as_str(), chart.width), ("4", 20));
        let parts: Vec<_> = chart.bars[0].parts.iter().map(|part| (part.tone, part.y, part.height)).collect();
        assert_eq!(parts, [("good", 25.0, 75.0), ("bad", 0.0, 25.0)]);
        assert_eq!(chart.bars[0].words, "a: 3 well, 1 not well");
        assert_eq!(chart.bars[1].cells, ["b", "0", "0"]);
    }

    #[test]
    fn scales_end_at_round_numbers() {
        let tops: Vec<_> = [0, 1, 3, 5, 7, 11, 61, 333_000].map(round_up).to_vec();
        assert_eq!(tops, [2, 2, 4, 6, 10, 20, 100, 400_000]);
    }

    #[test]
    fn the_first_and_the_last_label_are_always_there() {
        let labels: Vec<_> = (1..=60).map(|n| n.to_string()).collect();
        assert_eq!(spread(&labels), ["1", "15", "30", "45", "60"]);
        assert_eq!(spread(&labels[..1]), ["1"]);
        assert!(spread(&[]).is_empty());
    }
}

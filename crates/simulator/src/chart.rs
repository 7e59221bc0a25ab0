//! Small line charts as SVG.

use std::fmt::Write;

/// Up to two lines over the same days.
pub(crate) struct Chart<'a> {
    pub(crate) title: &'static str,
    pub(crate) lines: &'a [(&'static str, Vec<f64>)],
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 28.0;
const COLOURS: [&str; 2] = ["#1f5fa8", "#c2570c"];

impl Chart<'_> {
    /// The document.
    pub(crate) fn svg(&self) -> String {
        let most = self.lines.iter().flat_map(|(_, values)| values).copied().fold(0.0, f64::max);
        let top = round_up(most);
        let days = self.lines.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"18\" font-size=\"13\" font-weight=\"bold\">{}</text>\n",
            self.title
        );
        for quarter in 0..=4 {
            grid_line(&mut svg, top * f64::from(quarter) / 4.0, top);
        }
        for day in (0..=days).step_by(step(days)) {
            let x = x_of(day, days);
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">{day}</text>",
                HEIGHT - 10.0
            );
        }
        for (place, (name, values)) in self.lines.iter().enumerate() {
            curve(&mut svg, place, name, values, top);
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn grid_line(svg: &mut String, value: f64, top: f64) {
    let y = y_of(value, top);
    let end = WIDTH - RIGHT;
    let _ = writeln!(svg, "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{end}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>");
    let (x, y) = (LEFT - 6.0, y + 4.0);
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\" fill=\"#555\">{value}</text>");
}

fn curve(svg: &mut String, place: usize, name: &str, values: &[f64], top: f64) {
    let colour = COLOURS[place % COLOURS.len()];
    let mut points = String::new();
    for (day, value) in values.iter().enumerate() {
        let _ = write!(points, "{:.1},{:.1} ", x_of(day, values.len()), y_of(*value, top));
    }
    let points = points.trim_end();
    let _ = writeln!(
        svg,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{points}\"/>"
    );
    let x = WIDTH - RIGHT - 110.0 * (2 - place.min(1)) as f64 + 20.0;
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"18\" fill=\"{colour}\">{name}</text>");
}

fn x_of(day: usize, days: usize) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * day as f64 / days.max(1) as f64
}

fn y_of(value: f64, top: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top
}

/// The next number that four grid lines divide well.
fn round_up(most: f64) -> f64 {
    let scale = 10_f64.powf(most.max(1.0).log10().floor());
    let steps = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * scale).find(|top| *top >= most).unwrap_or(10.0 * scale)
}

fn step(days: usize) -> usize {
    [5, 10, 30, 60, 180, 365].into_iter().find(|step| days / step <= 14).unwrap_or(3_650)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_ends_at_or_above_the_highest_value() {
        let tops = [0.0, 1.0, 3.0, 33_500.0, 81_000.0].map(|most| round_up(most).to_string());
        assert_eq!(tops, ["1", "1", "4", "40000", "100000"]);
    }

    #[test]
    fn a_chart_has_a_point_for_each_day() {
        let svg = Chart { title: "t", lines: &[("a", vec![1.0, 2.0, 3.0])] }.svg();
        let points = svg.split("points=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        assert_eq!(points.split(' ').count(), 3);
    }
}

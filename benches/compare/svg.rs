//! Charts that need nothing but a browser: bars below their names, in the colours that light and dark pages have.

use std::fmt::Write as _;

use crate::figures::Spread;

/// One bar: its name, its figure, and whether it is ours.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) spread: Spread,
    pub(crate) own: bool,
}

/// Bars below one head.
pub(crate) struct Group {
    pub(crate) head: String,
    pub(crate) bars: Vec<Bar>,
}

const WIDTH: f64 = 480.0;
const LEFT: f64 = 12.0;
/// What is left of the longest bar, for its figure.
const FIGURE: f64 = 64.0;

const STYLE: &str = "\
    text { font: 15px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328; }
    .title { font-size: 17px; font-weight: 600; }
    .small { font-size: 13px; fill: #59636e; }
    .own { font-weight: 600; }
    .figure { font-variant-numeric: tabular-nums; }
    .page { fill: #ffffff; }
    .bar { fill: #9aa7b4; }
    .bar.ours { fill: #1a7f64; }
    .range { stroke: #1f2328; stroke-width: 1.5; }
    .one { stroke: #cf222e; stroke-width: 1.5; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; }
      .small { fill: #9198a1; }
      .page { fill: #0d1117; }
      .bar { fill: #59636e; }
      .bar.ours { fill: #2ea987; }
      .range { stroke: #f0f6fc; }
      .one { stroke: #ff7b72; }
    }
";

/// A chart; `line` marks the figure that all are compared with.
pub(crate) fn chart(title: &str, below: &str, groups: &[Group], line: Option<f64>) -> String {
    let most = groups.iter().flat_map(|group| &group.bars).map(|bar| bar.spread.max).fold(0.0, f64::max);
    let scale = (WIDTH - 2.0 * LEFT - FIGURE) / most.max(f64::MIN_POSITIVE);
    let (mut body, mut y) = (String::new(), 78.0);
    for group in groups {
        if !group.head.is_empty() {
            let _ = writeln!(
                body,
                "<text class=\"title\" x=\"{LEFT}\" y=\"{:.0}\">{}</text>",
                y + 6.0,
                escaped(&group.head)
            );
            y += 28.0;
        }
        for bar in &group.bars {
            let Spread { median, min, max } = bar.spread;
            let (own, ours) = if bar.own { (" class=\"own\"", " ours") } else { ("", "") };
            let [from, to, end] = [min, max, median].map(|figure| LEFT + figure * scale);
            let middle = y + 14.0;
            let _ = writeln!(body, "<text{own} x=\"{LEFT}\" y=\"{y:.0}\">{}</text>", escaped(&bar.name));
            let _ = writeln!(
                body,
                "<rect class=\"bar{ours}\" x=\"{LEFT}\" y=\"{:.0}\" width=\"{:.1}\" height=\"16\" rx=\"2\"/>",
                y + 6.0,
                end - LEFT
            );
            if let Some(line) = line {
                let at = LEFT + line * scale;
                let _ = writeln!(body, "<path class=\"one\" d=\"M{at:.1} {:.0}v22\"/>", y + 3.0);
            }
            let _ = writeln!(body, "<path class=\"range\" d=\"M{from:.1} {middle:.0}H{to:.1}\"/>");
            let places = if most < 10.0 { 2 } else { 0 };
            let places = if most < 2.0 { 3 } else { places };
            let _ = writeln!(
                body,
                "<text class=\"figure\" x=\"{:.1}\" y=\"{:.0}\">{median:.places$}</text>",
                to.max(end) + 8.0,
                y + 19.0
            );
            y += 46.0;
        }
        y += 8.0;
    }
    let height = y - 8.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" width=\"{WIDTH:.0}\" \
         height=\"{height:.0}\" role=\"img\" aria-label=\"{label}\">\n<style>\n{STYLE}</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\" rx=\"6\"/>\n\
         <text class=\"title\" x=\"{LEFT}\" y=\"28\">{label}</text>\n\
         <text class=\"small\" x=\"{LEFT}\" y=\"48\">{below}</text>\n{body}</svg>\n",
        label = escaped(title),
        below = escaped(below),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('`', "")
}

//! Messages a second beside the floor, as bars.

use crate::floor::{self, SENDERS};
use crate::messages;
use crate::results::Results;
use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 40.0;

pub fn svg(results: &Results) -> String {
    let pairs = SENDERS.map(|n| {
        let of = |name: String| results.get(&name).unwrap_or(0.0);
        (n, of(floor::name(n)), of(messages::name(n)))
    });
    let most = pairs.iter().map(|(_, floor, rate)| floor.max(*rate)).fold(1.0, f64::max);
    let height = HEIGHT - TOP - BOTTOM;
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' font-family='sans-serif' \
         font-size='12'>\n<rect width='{WIDTH}' height='{HEIGHT}' fill='#fff'/>\n\
         <text x='{LEFT}' y='22' font-size='14'>durable messages of 1 KiB a second</text>\n"
    );
    let group = (WIDTH - LEFT) / pairs.len() as f64;
    for (n, (senders, floor, rate)) in pairs.iter().enumerate() {
        let x = LEFT + group * n as f64;
        let bars = [(20.0, *floor, "#888", "raw SQLite"), (95.0, *rate, "#0a6", "service")];
        for (offset, value, colour, name) in bars {
            let high = height * value / most;
            let (bar, top) = (x + offset, TOP + height - high);
            let _ = writeln!(
                svg,
                "<rect x='{bar:.0}' y='{top:.1}' width='65' height='{high:.1}' fill='{colour}'/>\
                 <text x='{:.0}' y='{:.1}' text-anchor='middle'>{value:.0}</text>\
                 <text x='{:.0}' y='{}' text-anchor='middle' fill='#555'>{name}</text>",
                bar + 32.0,
                top - 4.0,
                bar + 32.0,
                HEIGHT - 24.0
            );
        }
        let _ = writeln!(
            svg,
            "<text x='{:.0}' y='{}' text-anchor='middle'>{senders} at once</text>",
            x + 90.0,
            HEIGHT - 8.0
        );
    }
    svg + "</svg>\n"
}

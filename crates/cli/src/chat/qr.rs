//! A code as a picture of half blocks, for whoever has a camera.

use fast_qr::{ECL, QRBuilder};

/// How wide the light margin is around the picture, in modules: what the standard asks for (ISO/IEC 18004).
const MARGIN: usize = 4;
/// Light on dark whatever the terminal's own colours are, and back to those.
const COLOURS: &str = "\u{1b}[40;97m";
const RESET: &str = "\u{1b}[0m";

/// The picture of a text, in lines of half blocks; none if the text is too long for one. A code for linking has 39
/// characters, in capitals: that makes 33 columns and 17 lines.
pub(super) fn picture(text: &str) -> Option<String> {
    let code = QRBuilder::new(text.to_uppercase()).ecl(ECL::L).build().ok()?;
    let is_light = |x: usize, y: usize| {
        let inside = x.checked_sub(MARGIN).zip(y.checked_sub(MARGIN));
        let inside = inside.filter(|(x, y)| *x < code.size && *y < code.size);
        // A row is a slice of the length of the code's side.
        let module = inside.and_then(|(x, y)| code.data.get(y * code.size + x));
        module.is_none_or(|module| !module.value())
    };

    let side = code.size + 2 * MARGIN;
    let mut lines = String::new();
    for y in (0..side).step_by(2) {
        lines.push_str(COLOURS);
        for x in 0..side {
            lines.push(match (is_light(x, y), is_light(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        lines.push_str(RESET);
        lines.push('\n');
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The dark modules of a picture without its margin.
    fn modules(picture: &str) -> Vec<Vec<bool>> {
        let mut rows = Vec::new();
        for line in picture.lines() {
            let line = line.strip_prefix(COLOURS).unwrap().strip_suffix(RESET).unwrap();
            rows.push(line.chars().map(|c| matches!(c, '▄' | ' ')).collect::<Vec<bool>>());
            rows.push(line.chars().map(|c| matches!(c, '▀' | ' ')).collect());
        }
        rows
    }

    #[test]
    fn a_code_for_linking_fits_a_small_terminal_and_stands_where_cameras_look() {
        let code = "x1rw-ftr3-7p7r-w3b2-xn83-raf8-mxx2-02cq";
        let picture = picture(code).unwrap();
        let rows = modules(&picture);
        let widths: Vec<usize> = rows.iter().map(Vec::len).collect();
        assert_eq!((picture.lines().count(), widths[0]), (17, 33));
        assert!(widths.iter().all(|width| *width == 33));

        // The margin is light, and three corners have the pattern that cameras look for.
        let margin = |n: usize| !(MARGIN..33 - MARGIN).contains(&n);
        for (y, row) in rows.iter().enumerate() {
            for (x, dark) in row.iter().enumerate() {
                assert!(!(*dark && (margin(x) || margin(y))), "{x} {y}");
            }
        }
        let ring = |x: usize, y: usize| {
            let far = |n: usize| (n as isize - 3).unsigned_abs();
            far(x).max(far(y)) != 2
        };
        for (left, top) in [(4, 4), (22, 4), (4, 22)] {
            for y in 0..7 {
                for x in 0..7 {
                    assert_eq!(rows[top + y][left + x], ring(x, y), "{left} {top} {x} {y}");
                }
            }
        }
        assert!(super::picture(&"x".repeat(10_000)).is_none());
    }
}

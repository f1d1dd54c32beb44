//! Pages of the documentation that have tables of this program.

use std::path::Path;

/// Checks that a page has just this between the marks of a name. With `CONCLAVE_RENDER=1` it is written there before.
pub(crate) fn page_has(page: &str, name: &str, made: &str, test: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(&begin).unwrap();
    let (there, after) = rest.split_once(&end).unwrap();
    if std::env::var_os("CONCLAVE_RENDER").is_some() {
        std::fs::write(&file, format!("{before}{begin}{made}{end}{after}")).unwrap();
        return;
    }
    assert!(
        there == made,
        "docs/{page} is behind: CONCLAVE_RENDER=1 cargo test -p conclave-cli --bins {test}"
    );
}

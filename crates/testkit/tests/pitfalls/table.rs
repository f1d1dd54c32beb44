//! The table in `docs/pitfalls.md`: every class has tests, and every test that it names exists.

use conclave_testkit::docs;

#[test]
fn every_class_has_a_test_and_every_test_exists() {
    let text = docs::source("docs/pitfalls.md");
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|---"))
        .filter(|line| !line.starts_with("| class |"))
        .collect();
    assert!(rows.len() >= 30, "{} classes", rows.len());
    for row in rows {
        let (_, tests) = row.rsplit_once(" | ").expect("cells");
        assert!(tests.contains('`'), "no test: {row}");
        for span in docs::code_spans(tests) {
            assert!(docs::is_test_name(span), "{span} is no test: {row}");
        }
    }
    docs::all_tests_exist("docs/pitfalls.md");
}

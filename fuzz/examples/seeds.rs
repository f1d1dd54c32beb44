//! Writes what a fuzzer may start from into a folder, by target.

use conclave_testkit::fuzz::{TARGETS, seeds};
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let into = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "corpus".into()));
    for (name, _) in TARGETS {
        let folder = into.join(name);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in seeds(name).iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number:03}")), seed)?;
        }
    }
    Ok(())
}

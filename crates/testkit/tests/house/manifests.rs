//! The packages of the workspace, as cargo understands their manifests.

use conclave_testkit::docs::workspace;
use serde_json::Value;
use std::process::Command;

/// The packages of the workspace, as `cargo metadata` describes them.
pub(crate) fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(workspace())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages").clone();
    assert!(packages.len() >= 15, "{} packages", packages.len());
    packages
}

/// The folder of a package below the workspace, `crates/wire`, or of a dependency in it.
pub(crate) fn folder(path: &Value) -> Option<String> {
    let path = path.as_str()?.trim_end_matches("/Cargo.toml");
    let (_, name) = path.rsplit_once("/crates/")?;
    Some(format!("crates/{name}"))
}

/// The dependencies of a package: `normal`, `build` and, unless left out, `dev`.
pub(crate) fn dependencies(package: &Value, dev: bool) -> impl Iterator<Item = &Value> {
    let all = package["dependencies"].as_array().into_iter().flatten();
    all.filter(move |dependency| dev || dependency["kind"] != "dev")
}

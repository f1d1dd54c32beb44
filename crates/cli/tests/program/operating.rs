//! The commands of `docs/operating.md`, as they stand there.

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

/// What stands in the page's blocks of `sh`, one after another.
fn commands() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operating.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("\n```sh\n").skip(1);
    let blocks: Vec<&str> = blocks.map(|rest| rest.split_once("```\n").unwrap().0).collect();
    assert!(blocks.len() > 5, "the page has lost its commands");
    blocks.concat()
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

#[test]
fn the_operators_page_leads_from_a_bare_machine_to_a_service() {
    for tool in ["openssl", "curl"] {
        assert!(
            Command::new(tool)
                .arg("--version")
                .output()
                .is_ok_and(|output| output.status.success())
                || Command::new(tool).arg("version").output().is_ok(),
            "the page's commands need {tool}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let [port, metrics] = free_ports().map(|port| port.to_string());
    // Whatever happens, no service is left behind.
    let script = format!(
        "set -eux\ntrap 'kill -KILL $(jobs -p) 2> gone || true' EXIT\n{}",
        commands().replace("4820", &port).replace("4821", &metrics)
    );
    let tools = Path::new(env!("CARGO_BIN_EXE_conclave")).parent().unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let log = folder.path().join("log");
    let status = Command::new("bash")
        .arg("-c")
        .arg(script)
        .current_dir(folder.path())
        .env("PATH", path)
        .env("HOME", folder.path())
        .env_remove("CONCLAVE_CONFIG")
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(folder.path().join("out")).unwrap())
        .stderr(std::fs::File::create(&log).unwrap())
        .status()
        .unwrap();
    let read = |name: &str| {
        let mut text = String::new();
        let file = std::fs::File::open(folder.path().join(name));
        let _ = file.and_then(|mut file| file.read_to_string(&mut text));
        text
    };
    assert!(status.success(), "{}\n{}", read("log"), read("service.log"));
    let out = read("out");
    assert!(out.contains("message dinner 1 alice/main"), "{out}");
    assert!(out.contains("message dinner 2 alice/main"), "after the restore: {out}");
    assert!(out.contains("\nroot "), "the audit has seen no root: {out}");
}

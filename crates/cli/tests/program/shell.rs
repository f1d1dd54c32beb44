//! Completions in a shell that completes, and pages of the manual in the program that sets them.

use crate::common::{CONCLAVE, run};
use std::process::Command;

/// What bash offers for a command line whose last word is being typed. None without bash.
fn offered(line: &[&str]) -> Option<Vec<String>> {
    let script = format!(
        "source <('{CONCLAVE}' completions bash)\n\
         complete -p conclave >&2 || exit 9\n\
         COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1))\n\
         _conclave conclave \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile", "-c", &script, "bash"]).args(line);
    let done = match bash.output() {
        Ok(done) => done,
        Err(e) => {
            println!("left out: bash cannot be run: {e}");
            return None;
        }
    };
    assert!(done.status.success(), "{done:?}");
    Some(String::from_utf8(done.stdout).unwrap().lines().map(str::to_string).collect())
}

#[test]
fn bash_completes_commands_options_and_values() {
    let cases: [(&[&str], &[&str]); 6] = [
        (&["conclave", "ins"], &["inspect"]),
        (&["conclave", "ca", "i"], &["issue"]),
        (&["conclave", "admin", "inv"], &["invite", "invitations"]),
        (&["conclave", "inspect", "--enc"], &["--encoding"]),
        (&["conclave", "inspect", "--encoding", "h"], &["hex"]),
        (&["conclave", "inspect", "--as", "link"], &["link-code"]),
    ];
    for (line, expected) in cases {
        let Some(mut words) = offered(line) else { return };
        words.sort();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(words, expected, "{line:?}");
    }
    let all = offered(&["conclave", ""]).unwrap();
    for command in ["serve", "chat", "audit", "completions", "man"] {
        assert!(all.iter().any(|word| word == command), "{all:?}");
    }
}

#[test]
fn scripts_of_all_shells_are_printed() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let done = run(&["completions", shell], b"");
        assert_eq!(done.code, Some(0));
        assert!(done.lines.len() > 50, "{shell}");
    }
    assert_eq!(run(&["completions", "tcsh"], b"").code, Some(2));
}

#[test]
fn pages_are_set_without_a_complaint() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    let done = run(&["man", "--out", pages.to_str().unwrap()], b"");
    assert_eq!(done.code, Some(0), "{done:?}");
    let mut names: Vec<_> = std::fs::read_dir(&pages).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    for page in ["conclave.1", "conclave-serve.1", "conclave-admin-invite.1", "conclave-man.1"] {
        assert!(names.contains(&pages.join(page)), "{names:?}");
    }

    for page in names {
        let mut groff = Command::new("groff");
        let done = groff.args(["-man", "-ww", "-z", "-Tutf8", "-K", "utf8"]).arg(&page).output();
        let Ok(done) = done else {
            println!("left out: groff cannot be run");
            return;
        };
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success() && said.is_empty(), "{}: {said}", page.display());
    }
}

#[test]
fn a_page_is_found_by_the_words_of_its_command() {
    let page = run(&["man", "admin", "invite"], b"");
    assert_eq!(page.code, Some(0));
    let text = page.lines.join("\n").replace("\\-", "-");
    assert!(text.contains("conclave-admin-invite") && text.contains("--days"), "{text}");
    assert!(run(&["man"], b"").lines.iter().any(|line| line.contains("conclave")));
    let none = run(&["man", "admin", "nonsense"], b"");
    assert_eq!(none.code, Some(1));
    assert!(none.stderr.contains("no command \"admin nonsense\""), "{none:?}");
}
